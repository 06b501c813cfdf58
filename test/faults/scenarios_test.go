package faults_test

import (
	"encoding/base64"
	"math/rand/v2"
)

// name of the custom resource and of its release in every case.
const name = "app"

// scenario is one change of a custom resource during which the operator is killed.
type scenario struct {
	title string
	// before is the spec that is deployed when the scenario begins; nil means that there is no resource.
	before map[string]any
	// after is the spec that the scenario asks for; nil means that the resource is deleted.
	after map[string]any
	// fails says that what is asked for can't be deployed.
	fails bool
	// large says that each step moves megabytes, so that it takes long and fewer of them run at once.
	large bool
	// hooks are the hook objects that run in the scenario.
	hooks []string
}

func scenarios() []scenario {
	return []scenario{
		{title: "install", after: spec()},
		{title: "upgrade", before: spec("extra", true), after: spec("greeting", "changed", "second", true)},
		{title: "upgrade that fails half-way", before: spec("extra", true), fails: true,
			after: spec("greeting", "changed", "second", true, "broken", true)},
		{title: "upgrade whose last hook fails", before: spec("extra", true), fails: true,
			after: spec("greeting", "changed", "second", true, "brokenHook", true)},
		{title: "uninstall", before: spec("extra", true)},
		{title: "install with hooks", after: spec("hooks", true), hooks: []string{"app-pre-install", "app-post-install"}},
		{title: "upgrade with hooks", before: spec("hooks", true), after: spec("hooks", true, "greeting", "changed"),
			hooks: []string{"app-pre-upgrade", "app-post-upgrade"}},
		{title: "uninstall with hooks", before: spec("hooks", true), hooks: []string{"app-pre-delete", "app-post-delete"}},
		{title: "upgrade of a large release", large: true, before: spec("padding", noise(1)), after: spec("padding", noise(2), "greeting", "changed")},
		{title: "uninstall of a large release", large: true, before: spec("padding", noise(1))},
	}
}

func spec(pairs ...any) map[string]any {
	out := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i].(string)] = pairs[i+1]
	}
	return out
}

// noise is text that can't be compressed and makes a release too large for one Secret.
func noise(seed uint64) string {
	source := rand.NewChaCha8([32]byte{byte(seed)})
	data := make([]byte, 640<<10)
	_, _ = source.Read(data)
	return base64.StdEncoding.EncodeToString(data)
}
