package inventory_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

func TestARecordIsReadableText(t *testing.T) {
	refs := []inventory.Ref{
		{GroupVersionKind: schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "StatefulSet"}, Namespace: "prod", Name: "gw"},
		{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, Name: "made"},
	}
	text := inventory.Encode(refs)
	assert.Equal(t, "apps/v1 StatefulSet prod/gw\nv1 Namespace /made\n", text)
	got, err := inventory.Decode(text)
	require.NoError(t, err)
	assert.Equal(t, refs, got)
}

func TestARecordReadsAsItWasWritten(t *testing.T) {
	ref := rapid.Custom(func(t *rapid.T) inventory.Ref {
		return inventory.Ref{
			GroupVersionKind: schema.GroupVersionKind{
				Group:   rapid.StringMatching(`([a-z]{1,4}(\.[a-z]{1,3})?)?`).Draw(t, "group"),
				Version: rapid.StringMatching(`v[1-9](beta1)?`).Draw(t, "version"),
				Kind:    rapid.StringMatching(`[A-Z][A-Za-z]{0,5}`).Draw(t, "kind"),
			},
			Namespace: rapid.StringMatching(`[a-z0-9-]{0,5}`).Draw(t, "namespace"),
			Name:      rapid.StringMatching(`[a-z0-9:.-]{1,8}`).Draw(t, "name"), // roles may have colons
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		refs := rapid.SliceOfN(ref, 1, 5).Draw(t, "refs")
		got, err := inventory.Decode(inventory.Encode(refs))
		require.NoError(t, err)
		require.Equal(t, refs, got)
	})
}

func TestATextThatIsNoRecordIsAnError(t *testing.T) {
	for _, text := range []string{"v1", "v1 ConfigMap", "v1 ConfigMap gw", "a/b/c ConfigMap prod/gw", "v1 ConfigMap prod/gw more", "\n"} {
		_, err := inventory.Decode(text)
		assert.ErrorIs(t, err, inventory.ErrRecord, text)
	}
}

func TestAnInventoryThatIsTooLongIsNotRecorded(t *testing.T) {
	var refs []inventory.Ref
	for i := range 3000 {
		refs = append(refs, inventory.Ref{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, Namespace: "prod", Name: fmt.Sprintf("a-quite-long-name-%040d", i)})
	}
	assert.NotEmpty(t, inventory.Encode(refs[:1000]))
	assert.Empty(t, inventory.Encode(refs))
}

func TestWholeNumbersOfAManifestStayWhole(t *testing.T) {
	objects, err := inventory.Parse("---\nkind: A\nspec: {whole: 9007199254740993, part: 1.5}\n---\n# nothing\n---\nkind: B\n")
	require.NoError(t, err)
	require.Len(t, objects, 2)
	assert.Equal(t, map[string]any{"whole": int64(9007199254740993), "part": 1.5}, objects[0].Object["spec"])
	assert.Equal(t, "B", objects[1].GetKind())
}
