// Package defaults reads from the chart's values.yaml what applies where a
// DataPowerService is silent and the sidecar has to know: the users, whose
// password Secrets must exist. The chart is the one source of defaults.
package defaults

import (
	"errors"
	"fmt"
	"os"

	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// ErrMalformed is returned when a values file is no YAML or its default users
// have another shape than spec.users.
var ErrMalformed = errors.New("malformed default users")

// LoadUsers returns the users of a service that names none, from the values
// file of the chart at path. It fails with [ErrMalformed] or the error of the
// file system.
func LoadUsers(path string) ([]v1beta3.User, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the chart's values: %w", err)
	}
	users, err := ParseUsers(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return users, nil
}

// ParseUsers returns the users of a service that names none, from the text of
// a chart's values.yaml: key defaults.users, and none when it is absent. It
// fails with [ErrMalformed].
func ParseUsers(values []byte) ([]v1beta3.User, error) {
	var file struct {
		Defaults struct {
			Users []v1beta3.User `json:"users"`
		} `json:"defaults"`
	}
	if err := yaml.Unmarshal(values, &file); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return file.Defaults.Users, nil
}
