package ams

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0B":                   0,
		"1B":                   1,
		"1kB":                  1024,
		"3GB":                  3221225472,
		"003GB":                3 * Gigabyte,
		"1536MB":               1536 * 1024 * 1024,
		"8388607TB":            8388607 * Terabyte,
		"9223372036854775807B": math.MaxInt64,
	} {
		got, err := ParseSize(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestParseSizeRefuses(t *testing.T) {
	const grammar = "is invalid: use a whole number with B, kB, MB, GB or TB, e.g. 3GB"
	for text, fault := range map[string]string{
		"":                         grammar,
		"3":                        grammar,
		"GB":                       grammar,
		"3gb":                      grammar,
		"3KB":                      grammar,
		"3GiB":                     grammar,
		"3 GB":                     grammar,
		"-3GB":                     grammar,
		"+3GB":                     grammar,
		"0.5GB":                    grammar,
		"NaN":                      grammar,
		"3BB":                      grammar,
		"3GB\n":                    grammar,
		"٣GB":                      grammar,
		"9999999999GB":             "is out of range",
		"8388608TB":                "is out of range",
		"9223372036854775808B":     "is out of range",
		"99999999999999999999999B": "is out of range",
	} {
		_, err := ParseSize(text)
		require.ErrorIs(t, err, ErrInvalid, text)
		require.EqualError(t, err, "size "+quote(text)+" "+fault)
	}
}

func TestSizeString(t *testing.T) {
	for size, want := range map[Size]string{
		0:                 "0B",
		1:                 "1B",
		1000:              "1000B",
		1024:              "1kB",
		1536 * Megabyte:   "1536MB",
		3 * Gigabyte:      "3GB",
		2048 * Gigabyte:   "2TB",
		2048 * Terabyte:   "2048TB",
		math.MaxInt64:     "9223372036854775807B",
		-2 * Kilobyte:     "-2kB",
		Gigabyte + 1*Byte: "1073741825B",
	} {
		require.Equal(t, want, size.String())
	}
}

func TestSizeJSON(t *testing.T) {
	type box struct {
		Memory Size `json:"memory"`
	}
	data, err := json.Marshal(box{3 * Gigabyte})
	require.NoError(t, err)
	require.JSONEq(t, `{"memory":"3GB"}`, string(data))

	var b box
	require.NoError(t, json.Unmarshal(data, &b))
	require.Equal(t, 3*Gigabyte, b.Memory)
	require.ErrorIs(t, json.Unmarshal([]byte(`{"memory":"3gb"}`), &b), ErrInvalid)
	_, err = json.Marshal(box{-1})
	require.Error(t, err)
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"3GB", "0B", "1023kB", "8388607TB", "-1B", "3 GB", "9223372036854775807B"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size, err := ParseSize(text)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		require.GreaterOrEqual(t, size, Size(0))
		again, err := ParseSize(size.String())
		require.NoError(t, err)
		require.Equal(t, size, again)
	})
}
