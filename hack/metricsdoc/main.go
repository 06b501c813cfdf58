// SPDX-License-Identifier: Apache-2.0

// Command metricsdoc generates docs/metrics.md from the metrics that the operator's packages register: name, type, help and
// labels are theirs; what values a label takes stands here, and one without an explanation is an error.
//
//	go run ./hack/metricsdoc
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", ".", "root of the repository")
	flag.Parse()
	if err := run(*root); err != nil {
		fmt.Fprintln(os.Stderr, "metricsdoc:", err)
		os.Exit(1)
	}
}

// run writes the document below root.
func run(root string) error {
	groups, err := collect()
	if err != nil {
		return err
	}
	text, err := document(groups)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "docs", "metrics.md"), text, 0o644)
}
