package ams

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// resolveImage finds the image to use, the default of its kind where none is
// named, and its version: the newest that can be used where none is given. One
// that has to be fetched first has no fingerprint yet.
func (c *change) resolveImage(idOrName string, number *int, vm bool) (Image, *ImageVersion, error) {
	var image Image
	var err error
	if idOrName != "" {
		image, err = findImageOf(c, idOrName, vm)
	} else {
		yes := true
		var found []Image
		found, err = c.Images().List(ImageFilter{VM: &vm, Default: &yes}, Page{Limit: 1})
		if image = first(found); err == nil && len(found) == 0 {
			err = &Error{Code: ErrNotFound, Kind: "image", Err: errors.New("none is named, and there is no default image")}
		}
	}
	if err != nil {
		return image, nil, err
	}
	v := image.newest(number)
	switch {
	case v == nil && number != nil:
		return image, nil, &Error{Code: ErrNotFound, Kind: "image", ID: image.Name, Err: fmt.Errorf("has no version %d", *number)}
	case v == nil || !v.usable() || image.Status == ImageDeleted:
		status, text := image.Status, ""
		if v != nil {
			status = v.Status
		}
		if v != nil && v.ErrorMessage != "" {
			text = ": " + v.ErrorMessage
		}
		return image, nil, &Error{Code: ErrState, Kind: "image", ID: image.Name, Err: fmt.Errorf("is not ready (status: %s)%s", status, text)}
	}
	return image, v, nil
}

// newest returns the version with the number, or else the newest that can be
// used; of those that have to be fetched, one that could not be is the last choice.
func (i *Image) newest(number *int) *ImageVersion {
	var best, last *ImageVersion
	for k := range i.Versions {
		v := &i.Versions[k]
		switch {
		case number != nil:
			if v.Number == *number {
				return v
			}
		case v.Status == ImageActive, v.usable() && v.Attempts == 0:
			best = v
		case v.usable() || last == nil:
			last = v
		}
	}
	if best == nil {
		return last
	}
	return best
}

func (v *ImageVersion) usable() bool {
	return v.Status == ImageActive || v.Status == ImageAvailable || v.Status == ImageQueued
}

// busy reports whether there is something to do for the image.
func (i *Image) busy() bool {
	return i.Status == ImageDeleted || slices.ContainsFunc(i.Versions, func(v ImageVersion) bool {
		return v.Status == ImageInitializing || v.Status == ImageQueued || v.Status == ImageDeleted
	})
}

// wake has the image looked at. What is fetched, which may take long, does not hold
// up what is here.
func (i *Image) wake() wake {
	w := wakeImage(i.ID)
	if slices.ContainsFunc(i.Versions, func(v ImageVersion) bool { return v.Status == ImageQueued }) {
		w.lane = "fetch"
	}
	return w
}

// version returns the version with the number, or nil.
func (i *Image) version(number int) *ImageVersion {
	for k := range i.Versions {
		if i.Versions[k].Number == number {
			return &i.Versions[k]
		}
	}
	return nil
}

// takeImage gives an instance the fingerprint of its image. If that is not here
// it is queued to be fetched, and the result is false.
func (c *change) takeImage(in *Instance) (bool, error) {
	image, err := c.Images().Get(in.ImageID)
	if ignoreNotFound(err) != nil {
		return false, err
	}
	v := image.version(in.ImageVersion)
	switch {
	case image.Status == ImageDeleted || v == nil:
		return false, &Error{Code: ErrNotFound, Kind: "image", ID: cmp.Or(image.Name, in.ImageID), Err: errors.New("was deleted")}
	case v.Status == ImageActive:
		in.Fingerprint, in.Architecture = v.Fingerprint, image.Architecture
		return true, nil
	case v.Status == ImageAvailable:
		v.Status = ImageQueued
		return false, c.putImage(&image)
	case v.Status == ImageQueued:
		return false, nil
	}
	return false, &Error{Code: ErrFailed, Kind: "image", ID: image.Name, Err: errors.New(v.ErrorMessage)}
}

// queueImage has a version fetched, also when nothing waits for it.
func (c *change) queueImage(image *Image, v *ImageVersion) error {
	if v.Status == ImageQueued && v.Sync {
		return nil
	}
	v.Status, v.Sync = ImageQueued, true
	return c.putImage(image)
}

func findImage(tx Tx, idOrName string) (Image, error) { return findImageOf(tx, idOrName, false) }

// findImageOf prefers the image of a kind where both kinds have one of the name.
func findImageOf(tx Tx, idOrName string, vm bool) (Image, error) {
	if image, err := tx.Images().Get(idOrName); CodeOf(err) != ErrNotFound {
		return image, err
	}
	named, err := tx.Images().List(ImageFilter{Name: idOrName}, Page{Limit: 2})
	if err != nil || len(named) == 0 || idOrName == "" {
		return Image{}, notFoundOr(err, "image", idOrName)
	}
	for _, image := range named {
		if image.VM == vm {
			return image, nil
		}
	}
	return named[0], nil
}

func notFoundOr(err error, kind, id string) error {
	if err != nil {
		return err
	}
	return notFound(kind, id)
}
