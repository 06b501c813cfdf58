package measure

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// auditEvent is the part of audit.k8s.io/v1 Event that counting needs.
type auditEvent struct {
	Verb string `json:"verb"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
}

// audited counts the requests without watches that the API server has recorded for a user.
func audited(path, user string) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("read audit log: %w", err)
	}
	defer func() { _ = file.Close() }()
	n := 0
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e auditEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return 0, fmt.Errorf("read audit log: %w", err)
		}
		if e.User.Username == user && e.Verb != "watch" {
			n++
		}
	}
	return n, lines.Err()
}
