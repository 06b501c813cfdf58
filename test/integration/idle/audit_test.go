package idle_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// request is the part of an audit.k8s.io/v1 Event that tells who asked for what.
type request struct {
	Verb string `json:"verb"`
	URI  string `json:"requestURI"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	Object struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	Received time.Time `json:"requestReceivedTimestamp"`
}

// class is what a request is of while nothing happens.
type class string

const (
	watch    class = "watch"
	renewal  class = "renewal of the lease"
	read     class = "read"
	write    class = "write"
	unlisted class = "" // asked by others
)

func (r request) class() class {
	switch {
	case r.User.Username != helmOperator && r.User.Username != sidecar:
		return unlisted
	case r.Verb == "watch":
		return watch
	case r.Object.Resource == "leases" && (r.Verb == "update" || r.Verb == "get"):
		return renewal
	case r.Verb == "get" || r.Verb == "list":
		return read
	}
	return write
}

func (r request) String() string {
	name := r.Object.Resource
	for _, part := range []string{r.Object.Subresource, r.Object.Namespace, r.Object.Name} {
		if part != "" {
			name += "/" + part
		}
	}
	if name == "" {
		name = r.URI
	}
	return r.User.Username + " " + r.Verb + " " + name
}

// audited reads what the programs asked for since a moment.
func audited(path string, since time.Time) (map[class][]request, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	defer func() { _ = file.Close() }()
	out := map[class][]request{}
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil { // a last line without its end is being written
			return out, nil
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("read audit log: %w", err)
		}
		if c := r.class(); c != unlisted && !r.Received.Before(since) {
			out[c] = append(out[c], r)
		}
	}
}

// table counts equal requests, one to a line.
func table(requests []request) string {
	counts := map[string]int{}
	for _, r := range requests {
		counts[r.String()]++
	}
	var out strings.Builder
	for _, line := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&out, "%6d  %s\n", counts[line], line)
	}
	return out.String()
}
