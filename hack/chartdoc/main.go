// SPDX-License-Identifier: Apache-2.0

// Command chartdoc generates values.schema.json and README.md of each chart from its values.yaml and from the schema of
// its custom resource, so that neither can say something else than those two.
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

// source is where the files of one chart come from; paths begin at the root of the repository.
type source struct {
	folder string
	crd    string
	// version of the custom resource whose spec the values are.
	version string
	// readme is the name of the template.
	readme string
	// loose are fields of the spec whose values the chart's schema does not check, because what is wrong in them must not
	// keep the rest from being rendered.
	loose []string
}

var sources = []source{
	{
		folder: "helm-charts/datapowerservice", version: "v1beta3", readme: "README.md.tmpl",
		crd: "config/crd/bases/datapower.ibm.com_datapowerservices.yaml",
	},
	{
		folder: "helm-charts/exposedapi", version: "v1", readme: "exposedapi.md.tmpl",
		crd: "config/crd/oda/bases/oda.tmforum.org_exposedapis.yaml",
		loose: []string{
			"name", "apiType", "developerUI", "segment", "basicAuth", "CORS", "apiKeyVerification", "rateLimit", "quota",
			"OASValidation", "specification", "template", "resources", "required",
		},
	},
}

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
		path := filepath.Join(root, file.path)
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

// generatedFile is a file of a chart that this program owns.
type generatedFile struct {
	path    string
	content []byte
}

// generate computes the generated files of the repository at root.
func generate(root string) ([]generatedFile, error) {
	var files []generatedFile
	for _, src := range sources {
		of, err := src.generate(root)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", src.folder, err)
		}
		files = append(files, of...)
	}
	return files, nil
}

// generate computes the generated files of one chart.
func (src source) generate(root string) ([]generatedFile, error) {
	values, err := os.ReadFile(filepath.Join(root, src.folder, "values.yaml"))
	if err != nil {
		return nil, fmt.Errorf("while reading the values: %w", err)
	}
	chart, err := os.ReadFile(filepath.Join(root, src.folder, "Chart.yaml"))
	if err != nil {
		return nil, fmt.Errorf("while reading the chart's metadata: %w", err)
	}
	crd, err := os.ReadFile(filepath.Join(root, src.crd))
	if err != nil {
		return nil, fmt.Errorf("while reading the custom resource definition: %w", err)
	}
	entries, err := parseValues(values)
	if err != nil {
		return nil, fmt.Errorf("values.yaml: %w", err)
	}
	schema, err := src.valuesSchema(entries, crd)
	if err != nil {
		return nil, fmt.Errorf("while making the schema: %w", err)
	}
	readme, err := renderReadme(src.readme, chart, entries)
	if err != nil {
		return nil, fmt.Errorf("while making the README: %w", err)
	}
	return []generatedFile{
		{filepath.Join(src.folder, "values.schema.json"), schema},
		{filepath.Join(src.folder, "README.md"), readme},
	}, nil
}
