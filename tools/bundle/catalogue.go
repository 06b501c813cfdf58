package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

// blob is a part of a file-based catalogue.
type blob map[string]any

// Schemas of blobs.
const (
	schemaPackage = "olm.package"
	schemaChannel = "olm.channel"
	schemaBundle  = "olm.bundle"
)

// writeCatalogue writes a file-based catalogue with the bundle and with the other versions that the file has already.
func writeCatalogue(path string, o options, s sources) error {
	before, err := readCatalogue(path)
	if err != nil {
		return err
	}
	bundle, err := bundleBlob(o, s)
	if err != nil {
		return err
	}
	entry := map[string]any{"name": bundle["name"]}
	if o.replaces != "" {
		entry["replaces"] = packageName + ".v" + o.replaces
	}
	blobs, err := merged(before, bundle, entry)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	blobs = append([]blob{{"schema": schemaPackage, "name": packageName, "defaultChannel": channel, "description": summary,
		"icon": map[string]any{"base64data": s.icon, "mediatype": "image/svg+xml"}}}, blobs...)
	var out []byte
	for _, b := range blobs {
		text, err := yaml.Marshal(b)
		if err != nil {
			return fmt.Errorf("writing the catalogue: %w", err)
		}
		out = append(append(out, "---\n"...), text...)
	}
	return write(path, out)
}

// readCatalogue reads what writeCatalogue wrote; there may be nothing yet.
func readCatalogue(path string) ([]blob, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the last catalogue: %w", err)
	}
	var found []blob
	for _, document := range strings.Split("\n"+string(text), "\n---\n")[1:] {
		var b blob
		if err := yaml.Unmarshal([]byte(document), &b); err != nil {
			return nil, fmt.Errorf("reading the last catalogue, %s: %w", path, err)
		}
		found = append(found, b)
	}
	return found, nil
}

// merged are the channel and its bundles: those of other versions as they were, in their order, and the new one at the end. It fails
// when the channel would have two ends, of which a subscription could follow neither.
func merged(before []blob, bundle blob, entry map[string]any) ([]blob, error) {
	var entries []any
	var bundles []blob
	for _, b := range before {
		switch {
		case b["schema"] == schemaBundle && b["name"] != bundle["name"]:
			bundles = append(bundles, b)
		case b["schema"] == schemaChannel:
			list, _ := b["entries"].([]any)
			for _, e := range list {
				if known, is := e.(map[string]any); is && known["name"] != entry["name"] {
					entries = append(entries, known)
				}
			}
		}
	}
	entries, bundles = append(entries, entry), append(bundles, bundle)
	if ends := endsOf(entries); len(ends) != 1 {
		return nil, fmt.Errorf("nothing replaces %s: one of them has to replace the other, say --replaces", strings.Join(ends, " and "))
	}
	return append([]blob{{"schema": schemaChannel, "package": packageName, "name": channel, "entries": entries}}, bundles...), nil
}

// endsOf are the entries that none replaces.
func endsOf(entries []any) []string {
	replaced := map[any]bool{}
	for _, e := range entries {
		replaced[e.(map[string]any)["replaces"]] = true
	}
	var ends []string
	for _, e := range entries {
		if name := e.(map[string]any)["name"]; !replaced[name] {
			ends = append(ends, fmt.Sprint(name))
		}
	}
	return ends
}

// bundleBlob is what a catalogue tells of the bundle.
func bundleBlob(o options, s sources) (blob, error) {
	properties := []any{map[string]any{"type": schemaPackage, "value": map[string]any{"packageName": packageName, "version": o.version}}}
	for _, definition := range s.definitions {
		for _, gvk := range kindsOf(definition) {
			properties = append(properties, map[string]any{"type": "olm.gvk", "value": gvk})
		}
	}
	csv, err := csvOf(o, s)
	if err != nil {
		return nil, err
	}
	properties = append(properties, map[string]any{"type": "olm.csv.metadata", "value": shown(csv)})
	images := []any{map[string]any{"name": "", "image": o.bundleImage}}
	for _, related := range relatedImages(o, s) {
		images = append(images, map[string]any{"name": related.Name, "image": related.Image})
	}
	return blob{"schema": schemaBundle, "name": packageName + ".v" + o.version, "package": packageName, "image": o.bundleImage,
		"properties": properties, "relatedImages": images}, nil
}

// shown is what a catalogue tells of a ClusterServiceVersion (olm.csv.metadata of operator-registry); the rest is in the bundle's
// image.
func shown(csv map[string]any) map[string]any {
	meta, spec := csv["metadata"].(map[string]any), csv["spec"].(map[string]any)
	out := map[string]any{"annotations": meta["annotations"], "labels": meta["labels"], "crdDescriptions": spec["customresourcedefinitions"]}
	for _, key := range []string{
		"description", "displayName", "installModes", "keywords", "links", "maintainers", "maturity", "minKubeVersion", "provider",
	} {
		out[key] = spec[key]
	}
	return out
}
