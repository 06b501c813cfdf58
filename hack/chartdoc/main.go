// SPDX-License-Identifier: Apache-2.0

// Command chartdoc generates values.schema.json and README.md of the chart datapowerservice from its values.yaml and
// from the schema of the DataPowerService, so that neither can say something else than those two.
//
//	go run ./hack/chartdoc          writes both files
//	go run ./hack/chartdoc -check   writes nothing and fails when one of them is not up to date
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// Places in the repository.
const (
	chartFolder = "helm-charts/datapowerservice"
	crdFile     = "config/crd/bases/datapower.ibm.com_datapowerservices.yaml"
	crdVersion  = "v1beta3"
)

// errOutdated is the result of -check when a generated file differs from what would be generated.
var errOutdated = errors.New("not up to date, run: go run ./hack/chartdoc")

func main() {
	root := flag.String("root", ".", "root of the repository")
	check := flag.Bool("check", false, "fail when a generated file is not up to date, write nothing")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "chartdoc:", err)
		os.Exit(1)
	}
}

// run generates the files below root and writes them, or compares them with what is there.
func run(root string, check bool) error {
	files, err := generate(root)
	if err != nil {
		return err
	}
	for _, file := range files {
		path := filepath.Join(root, chartFolder, file.name)
		if !check {
			if err := os.WriteFile(path, file.content, 0o644); err != nil {
				return fmt.Errorf("while writing a generated file: %w", err)
			}
			continue
		}
		current, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("while reading a generated file: %w", err)
		}
		if !bytes.Equal(current, file.content) {
			return fmt.Errorf("%s: %w", path, errOutdated)
		}
	}
	return nil
}

// generatedFile is a file of the chart that this program owns.
type generatedFile struct {
	name    string
	content []byte
}

// generate computes the generated files of the repository at root.
func generate(root string) ([]generatedFile, error) {
	values, err := os.ReadFile(filepath.Join(root, chartFolder, "values.yaml"))
	if err != nil {
		return nil, fmt.Errorf("while reading the values: %w", err)
	}
	chart, err := os.ReadFile(filepath.Join(root, chartFolder, "Chart.yaml"))
	if err != nil {
		return nil, fmt.Errorf("while reading the chart's metadata: %w", err)
	}
	crd, err := os.ReadFile(filepath.Join(root, crdFile))
	if err != nil {
		return nil, fmt.Errorf("while reading the custom resource definition: %w", err)
	}
	entries, err := parseValues(values)
	if err != nil {
		return nil, fmt.Errorf("values.yaml: %w", err)
	}
	schema, err := valuesSchema(entries, crd, crdVersion)
	if err != nil {
		return nil, fmt.Errorf("while making the schema: %w", err)
	}
	readme, err := renderReadme(chart, entries)
	if err != nil {
		return nil, fmt.Errorf("while making the README: %w", err)
	}
	return []generatedFile{{"values.schema.json", schema}, {"README.md", readme}}, nil
}
