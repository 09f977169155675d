// Package client is a Manager somewhere else: the services of package ams, with the
// same methods, over the REST interface.
//
//	c, err := client.Open("unix:///run/ams/unix.socket", client.Options{})
//	op, err := c.Instances.Launch(ctx, ams.LaunchRequest{Application: "candy"})
//	op, err = c.Operations.Wait(ctx, op.ID)
//
// What comes back are the types and the codes of package ams, so that errors.Is(err,
// ams.ErrNotFound) says the same on both sides. Fields that the interface does not carry
// are zero: those of a row that say how far the work on it has come.
package client
