package archive

import (
	"archive/tar"
	"context"
	"io"
	"io/fs"
	"path"
	"time"
)

// WriteTar writes those members of an archive that keep accepts as a tar archive,
// each under prefix, in the order of the archive, owned by root and with the time
// 0. A nil keep accepts all. Directories above a member are written only if the
// archive lists them. Errors are those of Walk and of w; what was written before
// an error must be thrown away.
func WriteTar(ctx context.Context, w io.Writer, a *Archive, prefix string, keep func(Entry) bool) error {
	out := tar.NewWriter(w)
	if err := AppendTar(ctx, out, a, prefix, keep); err != nil {
		return err
	}
	return out.Close()
}

// AppendTar is WriteTar into a tar archive that is being written, so that more can
// follow. It does not close out.
func AppendTar(ctx context.Context, out *tar.Writer, a *Archive, prefix string, keep func(Entry) bool) error {
	return a.Walk(ctx, func(e Entry, content io.Reader) error {
		if keep != nil && !keep(e) {
			return nil
		}
		h := &tar.Header{
			Typeflag: tar.TypeReg,
			Name:     path.Join(prefix, e.Name),
			Mode:     int64(e.Mode & fs.ModePerm),
			Size:     e.Size,
			ModTime:  time.Unix(0, 0),
		}
		if e.Dir {
			h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		_, err := io.Copy(out, content)
		return err
	})
}
