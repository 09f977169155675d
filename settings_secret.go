package ams

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// The key of the password with which a client makes itself known. It is stored as
// "pbkdf2-sha256$<iterations>$<salt>$<hash>", the last two in hexadecimal.
const trustPasswordKey = "core.trust_password"

const (
	passwordScheme     = "pbkdf2-sha256"
	passwordIterations = 600_000
	mostIterations     = 10_000_000 // of a stored hash: a damaged one costs no more than this
	passwordSaltLength = 16
)

// passwordHash is a salted hash of a password.
type passwordHash struct {
	iterations int
	salt, sum  []byte
}

// hashPassword returns the hash of a password with a new salt, as it is stored.
func hashPassword(password string) (string, error) {
	h := passwordHash{iterations: passwordIterations, salt: make([]byte, passwordSaltLength)}
	rand.Read(h.salt) // never fails
	var err error
	if h.sum, err = h.of(password); err != nil {
		return "", Errorf(ErrInternal, "hash a password: %w", err)
	}
	return fmt.Sprintf("%s$%d$%x$%x", passwordScheme, h.iterations, h.salt, h.sum), nil
}

// parsePassword reads a stored hash, and reports whether it is one.
func parsePassword(stored string) (passwordHash, bool) {
	part := strings.Split(stored, "$")
	if len(part) != 4 || part[0] != passwordScheme {
		return passwordHash{}, false
	}
	var h passwordHash
	var errs [3]error
	h.iterations, errs[0] = strconv.Atoi(part[1])
	h.salt, errs[1] = hex.DecodeString(part[2])
	h.sum, errs[2] = hex.DecodeString(part[3])
	return h, errs == [3]error{} && h.iterations > 0 && h.iterations <= mostIterations &&
		len(h.salt) == passwordSaltLength && len(h.sum) == sha256.Size
}

func (h *passwordHash) of(password string) ([]byte, error) {
	return pbkdf2.Key(sha256.New, password, h.salt, h.iterations, sha256.Size)
}

// trustPassword reports whether candidate is the password of core.trust_password;
// none is where that is not set. How long it takes tells nothing of the password.
func (s *Settings) trustPassword(ctx context.Context, candidate string) (bool, error) {
	var stored string
	err := s.m.view(ctx, func(tx Tx) (err error) {
		stored, err = s.text(tx, trustPasswordKey)
		return err
	})
	if err != nil || stored == "" || len(candidate) > maxSettingLength {
		return false, err
	}
	h, _ := parsePassword(stored) // text returns nothing else
	sum, err := h.of(candidate)
	if err != nil {
		return false, Errorf(ErrInternal, "hash a password: %w", err)
	}
	return subtle.ConstantTimeCompare(sum, h.sum) == 1, nil
}
