package ams_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/openams/ams"
	"github.com/openams/ams/backend/fake"
	"github.com/openams/ams/storage/mem"
)

// An addon is added from a directory and used by an application. A new version of
// it gives the application one too.
func ExampleAddons() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m, err := ams.New(ams.Config{Store: mem.New(), Backend: fake.New(fake.Options{}), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	go m.Run(ctx)
	wait := func(op ams.Operation, err error) {
		if err == nil {
			_, err = m.Operations.Wait(ctx, op.ID)
		}
		if err != nil {
			fmt.Println(err)
		}
	}
	wait(m.Images.Add(ctx, "jammy", strings.NewReader("an image"), ams.ImageOptions{}))

	pkg, err := ams.OpenPackage("examples/addons/hosts")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pkg.Close()
	wait(m.Addons.Add(ctx, "hosts", pkg, ams.AddonOptions{}))
	wait(m.Applications.Create(ctx, zipOf("manifest.yaml", "name: candy\naddons: [hosts]"), ams.CreateOptions{}))
	wait(m.Addons.Update(ctx, "hosts", zipOf("manifest.yaml", "name: hosts", "hooks/pre-start", "#!/bin/sh"), ams.AddonOptions{}))
	wait(m.Applications.Refresh(ctx, "candy")) // or wait two seconds

	versions, err := m.Applications.Versions(ctx, "candy")
	if err != nil {
		fmt.Println(err)
	}
	for _, v := range versions {
		fmt.Println("candy", v.Number, v.Status, v.Addons[0].Name, v.Addons[0].Version)
	}
	_, err = m.Addons.Delete(ctx, "hosts")
	fmt.Println(err)
	// Output:
	// candy 0 active hosts 0
	// candy 1 active hosts 1
	// addon "hosts": is used by application candy
}
