package client

import (
	"context"

	"github.com/openams/ams"
	"github.com/openams/ams/api"
)

// Status returns what the service can do, and whether it trusts this client.
func (c *Client) Status(ctx context.Context) (api.ServiceStatus, error) {
	var s api.ServiceStatus
	_, err := c.get(ctx, "", nil, &s)
	return s, err
}

// Version returns the version of the service.
func (c *Client) Version(ctx context.Context) (string, error) {
	var v api.VersionInfo
	_, err := c.get(ctx, "/version", nil, &v)
	return v.Version, err
}

// Tasks returns what is worked on; see ams.Manager.
func (c *Client) Tasks(ctx context.Context) ([]ams.Task, error) {
	var shown []api.Task
	_, err := c.get(ctx, "/tasks", listQuery(ams.Page{}), &shown)
	list := []ams.Task{}
	for _, t := range shown {
		list = append(list, ams.Task{ID: t.ID, Kind: t.ObjectType, Object: t.ObjectID, Status: t.Status, Text: t.Text})
	}
	return list, err
}

// Permissions returns what this client may do.
func (c *Client) Permissions(ctx context.Context) ([]ams.Permission, error) {
	var shown []api.Permission
	_, err := c.get(ctx, "/auth/permissions", listQuery(ams.Page{}), &shown)
	list := []ams.Permission{}
	for _, p := range shown {
		list = append(list, ams.Permission{Entitlement: p.Entitlement, Resource: p.Resource})
	}
	return list, err
}
