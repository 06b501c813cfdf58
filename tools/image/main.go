// Command image builds the operator's image as an OCI archive, without a container engine and without a base image: the two
// programs, the charts and watches.yaml. Two builds of one commit are equal to the bit: the programs are built with -trimpath,
// files are in the order of their names, and all times are the same. A list of the modules in the programs (CycloneDX) lies
// beside the archive. Without programs it is an image of files, such as OLM's bundles.
//
//	go run . --repository=../.. --output=../../dist/image.tar --arch=amd64,arm64 --version=0.1.0
package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// user runs the programs: any other will do, too.
const user = "65532:65532"

// options are the program's flags.
type options struct {
	repository, output, version, name string
	architectures                     []string
	programs                          []string
	extra                             []string // "path", or "path:name in the image"
	labels                            map[string]string
	writable                          []string
	byDigest                          bool
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	var architectures, programs, extra, writable, labels string
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&o.repository, "repository", "../..", "root of the repository")
	flags.StringVar(&o.output, "output", "image.tar", "OCI archive to write; the list of modules is written beside it as .sbom.json")
	flags.StringVar(&o.version, "version", "0.0.0", "label org.opencontainers.image.version")
	flags.StringVar(&o.name, "name", "datapower-operator", "name of the image in the archive, with or without a registry")
	flags.StringVar(&architectures, "arch", "amd64", "architectures, separated by commas")
	flags.StringVar(&programs, "programs", "./cmd/helm-operator,./cmd/sidecar", "packages of the programs; the first is the entrypoint; empty means none")
	flags.StringVar(&extra, "files", "helm-charts,watches.yaml,LICENSE", "files and folders of the repository that are put into the root; with :name, under another name")
	flags.StringVar(&writable, "writable", "", "empty folders in which any user may write, separated by commas")
	flags.BoolVar(&o.byDigest, "by-digest", false, "name the image in the archive by its digest too, for a node that cannot pull it by that; skopeo then wants to be told which of the two names to copy")
	flags.StringVar(&labels, "labels-of", "", "annotations.yaml of an OLM bundle, whose annotations become labels; relative to the repository")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.architectures = strings.Split(architectures, ",")
	if programs != "" {
		o.programs = strings.Split(programs, ",")
	}
	if extra != "" {
		o.extra = strings.Split(extra, ",")
	}
	if writable != "" {
		o.writable = strings.Split(writable, ",")
	}
	return o, o.readLabels(labels)
}

// readLabels reads the lines "  key: value" of a file.
func (o *options) readLabels(name string) error {
	o.labels = map[string]string{
		"org.opencontainers.image.title":    path.Base(o.name),
		"org.opencontainers.image.version":  o.version,
		"org.opencontainers.image.licenses": "Apache-2.0",
		"org.opencontainers.image.source":   "https://github.com/datapower-operator/datapower-operator",
	}
	if name == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(o.repository, name))
	if err != nil {
		return fmt.Errorf("reading labels: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), ": "); found {
			o.labels[key] = value
		}
	}
	return nil
}

func run(args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "image-*")
	if err != nil {
		return fmt.Errorf("making a folder to build in: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	index := mutate.IndexMediaType(empty.Index, "application/vnd.oci.image.index.v1+json")
	for _, arch := range o.architectures {
		fmt.Fprintln(out, "building for linux/"+arch)
		image, err := o.image(filepath.Join(work, arch), arch)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	digest, err := index.Digest()
	if err != nil {
		return fmt.Errorf("digest of the image: %w", err)
	}
	if err := o.archive(filepath.Join(work, "layout"), index); err != nil {
		return err
	}
	if len(o.programs) == 0 {
		fmt.Fprintf(out, "%s\n%s@%s\n", o.output, o.name, digest)
		return nil
	}
	bill, err := billOfMaterials(filepath.Join(work, o.architectures[0]), o)
	if err != nil {
		return err
	}
	if err := os.WriteFile(strings.TrimSuffix(o.output, ".tar")+".sbom.json", bill, 0o644); err != nil {
		return fmt.Errorf("writing the list of modules: %w", err)
	}
	fmt.Fprintf(out, "%s\n%s@%s\n", o.output, o.name, digest)
	return nil
}

// image builds the programs for an architecture into folder and makes an image of them.
func (o options) image(folder, arch string) (v1.Image, error) {
	layers := make([]mutate.Addendum, 0, 2)
	var programs []file
	for _, pkg := range o.programs {
		program := filepath.Join(folder, path.Base(pkg))
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", program, pkg)
		build.Dir = o.repository
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=-mod=readonly")
		if text, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building %s for %s: %w\n%s", pkg, arch, err, text)
		}
		programs = append(programs, file{program, path.Base(pkg), 0o755})
	}
	var extra []file
	for _, name := range o.extra {
		name, inside, renamed := strings.Cut(name, ":")
		found, err := filesIn(o.repository, name)
		if err != nil {
			return nil, err
		}
		for i := range found {
			if renamed {
				found[i].name = inside + strings.TrimPrefix(found[i].name, path.Clean(name))
			}
		}
		extra = append(extra, found...)
	}
	for _, name := range o.writable {
		extra = append(extra, file{name: strings.Trim(name, "/"), mode: 0o777})
	}
	for _, files := range [][]file{extra, programs} { // what changes seldom first
		if len(files) == 0 {
			continue
		}
		layer, err := layerOf(files)
		if err != nil {
			return nil, err
		}
		layers = append(layers, mutate.Addendum{Layer: layer})
	}
	image, err := mutate.Append(mutate.ConfigMediaType(mutate.MediaType(empty.Image, "application/vnd.oci.image.manifest.v1+json"),
		"application/vnd.oci.image.config.v1+json"), layers...)
	if err != nil {
		return nil, fmt.Errorf("putting the image together: %w", err)
	}
	return mutate.ConfigFile(image, o.config(image, arch))
}

func (o options) config(image v1.Image, arch string) *v1.ConfigFile {
	config := &v1.ConfigFile{OS: "linux", Architecture: arch, RootFS: v1.RootFS{Type: "layers"}}
	if before, err := image.ConfigFile(); err == nil {
		config.RootFS, config.History = before.RootFS, before.History
	}
	config.Config = v1.Config{User: user, WorkingDir: "/", Env: []string{"PATH=/:/bin"}, Labels: o.labels}
	if len(o.programs) > 0 {
		config.Config.Entrypoint = []string{"/" + path.Base(o.programs[0])}
	}
	return config
}

// file is one of an image; without a path it is an empty folder.
type file struct {
	path, name string
	mode       int64
}

// filesIn are the files at or below a path of the repository, in the order of their names. Of their modes only the right to be
// executed is kept.
func filesIn(repository, name string) ([]file, error) {
	var found []file
	err := filepath.WalkDir(filepath.Join(repository, name), func(p string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(repository, p)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := int64(0o644)
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		found = append(found, file{p, filepath.ToSlash(relative), mode})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", name, err)
	}
	return found, nil
}

// layerOf is a layer with the files; everything in it is root's and of one time.
func layerOf(files []file) (v1.Layer, error) {
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	made := map[string]bool{}
	for _, f := range files {
		for _, folder := range parents(f.name) {
			if made[folder] {
				continue
			}
			made[folder] = true
			if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755}); err != nil {
				return nil, fmt.Errorf("writing the folder %s: %w", folder, err)
			}
		}
		if f.path == "" {
			made[f.name] = true
			if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: f.name + "/", Mode: f.mode}); err != nil {
				return nil, fmt.Errorf("writing the folder %s: %w", f.name, err)
			}
			continue
		}
		text, err := os.ReadFile(f.path)
		if err != nil {
			return nil, fmt.Errorf("reading a file of the image: %w", err)
		}
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(text))}); err != nil {
			return nil, fmt.Errorf("writing %s: %w", f.name, err)
		}
		if _, err := archive.Write(text); err != nil {
			return nil, fmt.Errorf("writing %s: %w", f.name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("ending the layer: %w", err)
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buffer.Bytes())), nil },
		tarball.WithMediaType("application/vnd.oci.image.layer.v1.tar+gzip"))
}

// parents are the folders above a name, the outermost first.
func parents(name string) []string {
	var found []string
	for at, c := range name {
		if c == '/' {
			found = append(found, name[:at])
		}
	}
	return found
}

// archive writes the index as an OCI layout in one file, which containerd, podman and skopeo read.
func (o options) archive(folder string, index v1.ImageIndex) error {
	if err := os.MkdirAll(filepath.Dir(o.output), 0o755); err != nil {
		return fmt.Errorf("making the folder of the archive: %w", err)
	}
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return fmt.Errorf("writing the layout: %w", err)
	}
	// containerd names what it imports by the one annotation, in full as the kubelet asks for it; others by the other.
	full := o.name
	if !strings.Contains(full, "/") {
		full = "docker.io/library/" + full
	}
	names := map[string]string{o.version: full + ":" + o.version}
	if o.byDigest {
		digest, err := index.Digest()
		if err != nil {
			return fmt.Errorf("digest of the image: %w", err)
		}
		names[digest.String()] = full + "@" + digest.String()
	}
	for _, reference := range slices.Sorted(maps.Keys(names)) {
		annotations := map[string]string{"org.opencontainers.image.ref.name": reference, "io.containerd.image.name": names[reference]}
		if err := path.AppendIndex(index, layout.WithAnnotations(annotations)); err != nil {
			return fmt.Errorf("writing the layout: %w", err)
		}
	}
	files, err := filesIn(folder, ".")
	if err != nil {
		return err
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	out, err := os.Create(o.output)
	if err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	archive := tar.NewWriter(out)
	for _, f := range files {
		if err := addFile(archive, f); err != nil {
			return errors.Join(err, out.Close())
		}
	}
	return errors.Join(archive.Close(), out.Close())
}

func addFile(archive *tar.Writer, f file) error {
	in, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(archive, in)
	return err
}

// component is a module in CycloneDX.
type component struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl"`
}

// billOfMaterials lists the modules that the programs in folder were built from.
func billOfMaterials(folder string, o options) ([]byte, error) {
	found := map[string]component{}
	for _, pkg := range o.programs {
		modules, err := modulesOf(filepath.Join(folder, path.Base(pkg)))
		if err != nil {
			return nil, err
		}
		for _, m := range modules {
			found[m.PURL] = m
		}
	}
	components := make([]component, 0, len(found))
	for _, c := range found {
		components = append(components, c)
	}
	slices.SortFunc(components, func(a, b component) int { return strings.Compare(a.PURL, b.PURL) })
	return json.MarshalIndent(map[string]any{
		"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
		"metadata":   map[string]any{"component": component{Type: "container", Name: path.Base(o.name), Version: o.version, PURL: "pkg:oci/" + path.Base(o.name)}},
		"components": components,
	}, "", "  ")
}
