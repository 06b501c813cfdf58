// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// readAll reads one object of each file.
func readAll(files ...string) ([]*unstructured.Unstructured, error) {
	out := make([]*unstructured.Unstructured, 0, len(files))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(data, &u.Object); err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}
