package program

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// WatchNamespaceVariable is the environment variable that says which
// namespaces a program watches. Its form is that of the Operator SDK and of
// OLM's downward API: empty means all namespaces, else a comma separated list.
const WatchNamespaceVariable = "WATCH_NAMESPACE"

// ErrInvalidNamespace is returned by [ParseNamespaces] for an entry that can
// be no namespace's name.
var ErrInvalidNamespace = errors.New("not a namespace name")

// ParseNamespaces reads the value of [WatchNamespaceVariable]. The answer is
// sorted and free of duplicates; nil means all namespaces. Blanks around
// entries and empty entries are ignored. It fails with [ErrInvalidNamespace]
// when an entry is no DNS label.
func ParseNamespaces(value string) ([]string, error) {
	var names []string
	for entry := range strings.SplitSeq(value, ",") {
		name := strings.TrimSpace(entry)
		if name == "" {
			continue
		}
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			return nil, fmt.Errorf("%w: %q: %s", ErrInvalidNamespace, name, strings.Join(problems, "; "))
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// CacheNamespaces is the form in which controller-runtime wants the watched
// namespaces: nil for all of them.
func CacheNamespaces(names []string) map[string]cache.Config {
	if len(names) == 0 {
		return nil
	}
	configs := make(map[string]cache.Config, len(names))
	for _, name := range names {
		configs[name] = cache.Config{}
	}
	return configs
}
