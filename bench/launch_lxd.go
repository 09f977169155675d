package main

import "context"

func launchLXD(context.Context, options) (result, error) { return result{}, nil }
