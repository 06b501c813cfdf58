package conversion

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// defaultRounds keeps the random tests of this package together below 20 s on a slow machine.
const defaultRounds = 120

// Rounds is the number of random objects for each pair of versions: that of the environment variable
// CONVERSION_ROUNDS, else defaultRounds.
func Rounds(t testing.TB) int {
	t.Helper()
	text := os.Getenv("CONVERSION_ROUNDS")
	if text == "" {
		return defaultRounds
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "CONVERSION_ROUNDS")
	return n
}

// generator makes random JSON of a shape: what an API server could send, and less tidy than what Go types encode to,
// with nulls, empty lists, and several notations of one quantity.
type generator struct {
	*rand.Rand

	// junk also makes scalars where the shape wants something else.
	junk bool
}

func (g generator) value(s *shape, name string) any {
	if pool, ok := pools[name]; ok && g.Intn(10) > 0 {
		return pool[g.Intn(len(pool))]
	}
	switch {
	case g.Intn(40) == 0:
		return nil
	case g.junk && g.Intn(40) == 0:
		return []any{g.Float64(), int64(1 << 40), true, g.text()}[g.Intn(4)]
	}
	switch s.kind {
	case objectKind:
		return g.object(s)
	case mapKind:
		return g.dictionary(s.elem)
	case listKind:
		list := []any{}
		for range g.Intn(4) {
			list = append(list, g.value(s.elem, ""))
		}
		return list
	case anyKind:
		return g.anything(3)
	default:
		return g.scalar(s)
	}
}

func (g generator) object(s *shape) map[string]any {
	out := map[string]any{}
	for name, field := range s.fields {
		if g.Intn(3) > 0 {
			out[name] = g.value(field, name)
		}
	}
	return out
}

func (g generator) dictionary(elem *shape) map[string]any {
	out := map[string]any{}
	for range g.Intn(3) {
		out[g.text()] = g.value(elem, "")
	}
	return out
}

func (g generator) scalar(s *shape) any {
	switch s.kind {
	case boolKind:
		return g.Intn(2) == 0
	case intKind:
		if s.max > 1<<32 {
			return g.Int63()
		}
		return int64(g.Int31()) - 1<<30
	case intOrStringKind:
		return []any{int64(g.Int31()), g.text()}[g.Intn(2)]
	case quantityKind:
		return quantityPool[g.Intn(len(quantityPool))]
	case timeKind:
		return time.Unix(g.Int63n(1<<32), 0).Format(time.RFC3339)
	default:
		return g.text()
	}
}

// anything is JSON that fits no shape in particular. Fields of the old versions' schemaless affinity get this.
func (g generator) anything(depth int) any {
	switch g.Intn(7) {
	case 0:
		return g.Float64()
	case 1:
		return int64(g.Intn(100))
	case 2:
		return g.Intn(2) == 0
	case 3:
		return map[string]any{"nodeAffinity": g.text(), "podAffinity": map[string]any{}}
	case 4:
		if depth > 0 {
			return []any{g.anything(depth - 1)}
		}
	case 5:
		if depth > 0 {
			return map[string]any{g.text(): g.anything(depth - 1), "name": g.anything(depth - 1)}
		}
	}
	return g.text()
}

func (g generator) text() string { return textPool[g.Intn(len(textPool))] }

var (
	textPool     = []string{"", "a", "b", "default", "spec", `"<&\`, "ü\u2028", "10.0-lts", "4Gi"}
	quantityPool = []any{"4", int64(4), 4.5, "4.5", int64(8), "8000m", int64(2), "4Gi", int64(4294967296), "1e3", 1e300}

	// pools are by name of the field, for those that the conversion looks at.
	pools = map[string][]any{
		"version":    {"10.0.0", "10.0.1", "10.0-eus", "10.0-lts", "10.6-lts"},
		"name":       {"default", "a", "b", "c"},
		"path":       {"/a", "/b", "/c"},
		"volumeMode": {"Block", "Filesystem", ""},
		"type":       {"Ready", "Error", "ReconcileError", "persistent"},
		"cpu":        {int64(4), "4", "4500m", "100m", int64(1), 4.5},
		"memory":     {"4Gi", "4294967296", "8G"},
	}
)

func TestJSONComesBackUnchangedFromEveryVersion(t *testing.T) {
	t.Parallel()
	for _, from := range []string{beta1, beta2, hub} {
		for _, to := range []string{beta1, beta2, hub} {
			t.Run(from+" to "+to+" and back", func(t *testing.T) {
				t.Parallel()
				seed := time.Now().UnixNano()
				g := generator{rand.New(rand.NewSource(seed)), from != hub}
				for i := range Rounds(t) {
					original := g.service(t, from)
					there, err := ConvertObject(original, "datapower.ibm.com/"+to)
					require.NoError(t, err)
					back, err := ConvertObject(there, "datapower.ibm.com/"+from)
					require.NoError(t, err)
					require.JSONEq(t, string(original), string(back), "seed %d, round %d, via %s", seed, i, there)
				}
			})
		}
	}
}

func TestTheHubAlwaysDecodes(t *testing.T) {
	t.Parallel()
	seed := time.Now().UnixNano()
	g := generator{rand.New(rand.NewSource(seed)), true}
	for i := range Rounds(t) {
		from := []string{beta1, beta2}[i%2]
		original := g.service(t, from)
		converted, err := ConvertObject(original, "datapower.ibm.com/"+hub)
		require.NoError(t, err)
		var object map[string]any
		require.NoError(t, utiljson.Unmarshal(converted, &object))
		fitting := fitted(hub, body{"spec": object["spec"], "status": object["status"]})
		for _, part := range []string{"spec", "status"} {
			require.Equal(t, object[part], fitting[part], "seed %d, round %d: %s of %s", seed, i, part, converted)
		}
	}
}

// service is a random service as JSON. Its metadata is always there: the API server insists on it.
func (g generator) service(t *testing.T, version string) []byte {
	t.Helper()
	object := g.object(shapes[version])
	object["apiVersion"], object["kind"] = "datapower.ibm.com/"+version, serviceKind
	metadata := map[string]any{"name": fmt.Sprint(g.Int())}
	if g.Intn(2) == 0 {
		metadata["annotations"] = map[string]any{"a": g.text()}
	}
	object["metadata"] = metadata
	out, err := json.Marshal(object)
	require.NoError(t, err)
	return out
}
