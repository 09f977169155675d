package main

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/openams/ams/client"
)

// serverPair returns the certificate of the daemon, and makes one the first time: the
// files server.crt and server.key. Whoever calls it has the directory for itself.
func serverPair(dir string, hosts []string) (*tls.Certificate, error) {
	cert, key := filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	if _, err := os.Stat(key); errors.Is(err, os.ErrNotExist) {
		certificate, private, err := client.NewKeyPair("ams", hosts...)
		if err != nil {
			return nil, err
		}
		// The key comes last: with it both are there.
		if err := errors.Join(writeFile(cert, certificate, 0o644), writeFile(key, private, 0o600)); err != nil {
			return nil, err
		}
	}
	info, err := os.Stat(key)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others: chmod 600 it", key)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", cert, key, err)
	}
	return &pair, nil
}

func fingerprint(pair *tls.Certificate) string { return client.Fingerprint(pair.Certificate[0]) }

// writeFile writes a file whole or not at all.
func writeFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// clusterID returns what names this cluster for good, and makes it the first time.
func clusterID(dir string) (string, error) {
	path := filepath.Join(dir, "cluster-id")
	data, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(data)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	id := hex.EncodeToString(b[:])
	return id, writeFile(path, []byte(id+"\n"), 0o644)
}
