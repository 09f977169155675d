package mem

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// byJSON is what a store that keeps JSON gives back.
func byJSON[T any](t *testing.T, given T) T {
	t.Helper()
	data, err := json.Marshal(given)
	require.NoError(t, err)
	var back T
	require.NoError(t, json.Unmarshal(data, &back))
	return back
}

// TestPlan copies all kinds of rows as JSON would have them.
func TestPlan(t *testing.T) {
	checkPlan[ams.Application](t)
	checkPlan[ams.Version](t)
	checkPlan[ams.Addon](t)
	checkPlan[ams.Image](t)
	checkPlan[ams.Instance](t)
	checkPlan[ams.Node](t)
	checkPlan[ams.Operation](t)
	checkPlan[ams.Setting](t)
	checkPlan[ams.Identity](t)
	checkPlan[ams.Group](t)
	checkPlan[ams.JoinToken](t)
	checkPlan[ams.Event](t)
}

func checkPlan[T any](t *testing.T) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	p := planOf(reflect.TypeFor[T]())
	for range 300 {
		var row T
		fill(random, reflect.ValueOf(&row).Elem())
		var have T
		require.NoError(t, p.copy(reflect.ValueOf(&have).Elem(), reflect.ValueOf(row)))
		require.Equal(t, byJSON(t, row), have)
	}
}

// fill sets a value to something random, often to something awkward.
func fill(random *rand.Rand, v reflect.Value) {
	if random.IntN(4) == 0 {
		return // zero
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		at := time.Unix(random.Int64N(1<<32), random.Int64N(1e9))
		switch random.IntN(3) {
		case 0:
			at = at.UTC()
		case 1:
			at = at.In(time.FixedZone("", 3600))
		}
		v.Set(reflect.ValueOf(at))
		return
	case v.Type() == reflect.TypeFor[ams.Size]():
		v.SetInt(random.Int64N(1 << 50))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				fill(random, f)
			}
		}
	case reflect.String:
		v.SetString([]string{"a", "", "é<>&", "a\xff\xfeb", "\x00", "\u2028"}[random.IntN(6)])
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), random.IntN(3), 3))
		for i := range v.Len() {
			fill(random, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range random.IntN(3) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			key.SetString([]string{"k", "l"}[random.IntN(2)])
			fill(random, value)
			v.SetMapIndex(key, value)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(random, v.Elem())
	case reflect.Float64:
		v.SetFloat(random.Float64())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(random.Uint64N(256))
	case reflect.Int, reflect.Int64:
		v.SetInt(random.Int64() - 1<<62)
	default:
		panic(v.Kind())
	}
}

func TestPlanRefuses(t *testing.T) {
	p := planOf(reflect.TypeFor[ams.Node]())
	var to ams.Node
	require.Error(t, p.copy(reflect.ValueOf(&to).Elem(), reflect.ValueOf(ams.Node{Memory: -1})), "JSON has no negative size")
}
