// Command bundle makes the operator's OLM bundle of what config/ installs with kubectl: the ClusterServiceVersion with everything
// that a catalogue shows, the definitions, Services and roles beside it, its metadata, the configuration of the scorecard, and a
// file-based catalogue.
//
//	go run . --repository=../.. --version=0.1.0 --image=registry/datapower-operator@sha256:...
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const (
	packageName = "datapower-operator"
	channel     = "stable-v0"
	namespace   = "datapower-system" // suggested
)

// options are the program's flags.
type options struct {
	repository, output, catalogue, version, image, bundleImage, replaces string
}

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var o options
	flags := flag.NewFlagSet("bundle", flag.ContinueOnError)
	flags.StringVar(&o.repository, "repository", "../..", "root of the repository")
	flags.StringVar(&o.output, "output", "", "folder of the bundle; empty means bundle/ of the repository")
	flags.StringVar(&o.catalogue, "catalog", "", "folder of the catalogue, where other versions stay; empty means catalog/ of the repository")
	flags.StringVar(&o.version, "version", "", "version of the operator, for example 0.1.0")
	flags.StringVar(&o.image, "image", "", "image of the operator, best by digest; empty means what config/ says")
	flags.StringVar(&o.bundleImage, "bundle-image", "", "image of the bundle, for the catalogue")
	flags.StringVar(&o.replaces, "replaces", "", "version that this one replaces in its channel; empty means none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.version == "" {
		return errors.New("--version is missing")
	}
	for folder, name := range map[*string]string{&o.output: "bundle", &o.catalogue: "catalog"} {
		if *folder == "" {
			*folder = filepath.Join(o.repository, name)
		}
	}
	if o.bundleImage == "" {
		o.bundleImage = packageName + "-bundle:" + o.version
	}
	return generate(o)
}

// generate writes everything.
func generate(o options) error {
	sources, err := read(o)
	if err != nil {
		return err
	}
	files, err := bundleOf(o, sources)
	if err != nil {
		return err
	}
	for _, folder := range []string{"manifests", "metadata", "tests"} {
		if err := os.RemoveAll(filepath.Join(o.output, folder)); err != nil {
			return fmt.Errorf("removing the last bundle: %w", err)
		}
	}
	for name, text := range files {
		if err := write(filepath.Join(o.output, name), text); err != nil {
			return err
		}
	}
	return writeCatalogue(filepath.Join(o.catalogue, packageName, "catalog.yaml"), o, sources)
}

func write(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("making a folder of the bundle: %w", err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("writing the bundle: %w", err)
	}
	return nil
}

// object is any Kubernetes object.
type object map[string]any

func (o object) kind() string { kind, _ := o["kind"].(string); return kind }

func (o object) meta() map[string]any { meta, _ := o["metadata"].(map[string]any); return meta }

func (o object) name() string { name, _ := o.meta()["name"].(string); return name }

// sources is what a bundle is made of.
type sources struct {
	installed   []object // of config/default
	definitions []object // of config/crd
	samples     []object
	icon        []byte
	images      []string // of gateways, by the chart's catalogue
}

func read(o options) (sources, error) {
	var s sources
	var err error
	if s.installed, err = kustomized(filepath.Join(o.repository, "config", "default")); err != nil {
		return s, err
	}
	if s.definitions, err = kustomized(filepath.Join(o.repository, "config", "crd")); err != nil {
		return s, err
	}
	if s.samples, err = kustomized(filepath.Join(o.repository, "config", "samples", "olm")); err != nil {
		return s, err
	}
	if s.icon, err = os.ReadFile(filepath.Join(o.repository, "config", "manifests", "icon.svg")); err != nil {
		return s, fmt.Errorf("reading the icon: %w", err)
	}
	s.images, err = gatewayImages(filepath.Join(o.repository, "helm-charts", "datapowerservice", "values.yaml"))
	return s, err
}

// kustomized builds a kustomization.
func kustomized(folder string) ([]object, error) {
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", folder, err)
	}
	var out []object
	for _, resource := range made.Resources() {
		found, err := resource.Map()
		if err != nil {
			return nil, fmt.Errorf("building %s: %w", folder, err)
		}
		out = append(out, found)
	}
	return out, nil
}

// gatewayImages are the images of gateways that the chart names by digest: what is named by a tag is pulled by that, and no tool
// can mirror it for a cluster without a network.
func gatewayImages(values string) ([]string, error) {
	text, err := os.ReadFile(values)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the chart's values: %w", err)
	}
	var chart map[string]any
	if err := yaml.Unmarshal(text, &chart); err != nil {
		return nil, fmt.Errorf("reading %s: %w", values, err)
	}
	var found []string
	var look func(any)
	look = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			for _, inner := range v {
				look(inner)
			}
		case []any:
			for _, inner := range v {
				look(inner)
			}
		case string:
			if strings.Contains(v, "@sha256:") {
				found = append(found, v)
			}
		}
	}
	look(chart)
	return found, nil
}
