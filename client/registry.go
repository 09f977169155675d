package client

import (
	"context"
	"net/http"

	"github.com/openams/ams/api"
)

// RegistryList returns the applications in the registry.
func (c *Client) RegistryList(ctx context.Context) ([]api.RegistryApplication, error) {
	list := []api.RegistryApplication{}
	_, err := c.get(ctx, "/registry/applications", nil, &list)
	return list, err
}

// RegistryCall has an application pushed to the registry, pulled from it, or deleted
// from it: verb is "push", "pull" or "delete". It waits until that is done.
func (c *Client) RegistryCall(ctx context.Context, verb, application string) error {
	q := call{method: http.MethodPost, path: path("registry", "applications", application, verb)}
	if verb == "delete" {
		q = call{method: http.MethodDelete, path: path("registry", "applications", application)}
	}
	return c.finish(ctx, q)
}
