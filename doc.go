// Package ams runs Android applications at high density on LXD, inside the
// program that imports it.
//
// An application package (a manifest.yaml, an app.apk, hooks and data) becomes an
// [Application] with numbered versions. Each [Version] is built once, in a base
// instance: the package is installed on an [Image], hooks run, and the result is
// published as an image of its own. An [Instance] is launched from a version, or
// raw from an image, on one of the [Node]s of the cluster, chosen by what is free.
//
//	m, err := ams.New(ams.Config{Store: store, Backend: backend, Guest: guest})
//	go m.Run(ctx)
//	op, err := m.Applications.Create(ctx, pkg, ams.CreateOptions{})
//	op, err = m.Operations.Wait(ctx, op.ID)
//	op, err = m.Instances.Launch(ctx, ams.LaunchRequest{Application: "candy"})
//
// # Asking and doing
//
// A method that asks for something commits what is wanted, as one transaction
// with an [Operation] and the [Event]s that tell of it, and returns. [Manager.Run]
// does it: it looks at what is wanted and at what there is, takes the next step,
// commits what came of it, and looks again. A program that is killed loses
// nothing: the next Run looks again, deadlines included.
//
// # Applications
//
// [Application].Manifest is what the next version is built from; a version keeps
// what it was built with. Update takes a new package and Set changes fields. When
// the image, an addon or the setting application.addons has changed, applications
// are built again by themselves, in order, and each once for a burst of changes.
// Launches take the latest published version; see docs/guides/applications.md.
//
// # Images
//
// Images come from a file, from a stopped instance, or from an [ImageServer],
// which package simplestreams implements. What a server has is listed at once and
// fetched when something first uses it; see docs/guides/images.md.
//
// # Trust
//
// An [Identity] is somebody who is known by a certificate or an email address; a
// [Group] is what its members may do. The Manager keeps both, and [Manager.Trust]
// tells of them; whether a request is let through is for the program that serves
// requests to say. See docs/guides/trust.md.
//
// # What the host brings
//
// A [Store] (storage/sqlite, storage/mem), a [Backend] (backend/lxd,
// backend/fake), and a [Guest] that speaks to the software inside instances
// (guest/android). They import this package and not each other; a host that
// does not import one does not link it. A host tests itself with backend/fake
// and storage/mem, which run under testing/synctest.
//
// # Errors
//
// Every error has a [Code]: errors.Is(err, ams.ErrNotFound). Bad input is refused
// before anything is done, naming the field and the rule. A manifest's problems
// are all reported at once, as a multierror of [FieldError].
//
// # What is never touched
//
// What the backend has that does not carry this store's mark. And what carries it
// but is unknown to the store is deleted only when it is old, when it is little,
// and when the store is not an old copy: see [Manager.Orphans].
package ams
