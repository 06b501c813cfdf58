package storage

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// Driver is Helm's Secret driver for the releases of one custom resource. It reads and writes what Helm's own reads and
// writes, with two differences: of the chart it stores what Helm's commands use of a stored release (its metadata and
// values, not its templates and files, which make up most of a record), and a history that it has read once it
// remembers, with its own writes, until Forget. It is for one reconcile and one goroutine.
type Driver struct {
	*driver.Secrets
	secrets *Secrets
	now     func() time.Time
	// Annotate gives a deployed revision's Secret its annotations; nil gives none.
	Annotate func(*helmrelease.Release) map[string]string
	// histories by release name, as far as they are known.
	histories map[string][]*helmrelease.Release
}

var _ driver.Driver = (*Driver)(nil)

// NewDriver returns a driver on inner. Every Secret carries labels (so that caches which select by them see it) and the
// owner reference; releases larger than pieceSize bytes are stored in pieces.
func NewDriver(inner clientcorev1.SecretInterface, labels map[string]string, owner metav1.OwnerReference, pieceSize int) *Driver {
	secrets := &Secrets{SecretInterface: inner, labels: labels, owner: owner, pieceSize: pieceSize}
	return &Driver{Secrets: driver.NewSecrets(secrets), secrets: secrets, now: time.Now, histories: map[string][]*helmrelease.Release{}}
}

// Forget makes the next look at a history ask the API server.
func (d *Driver) Forget() { clear(d.histories) }

// Query implements driver.Driver.
func (d *Driver) Query(labels map[string]string) ([]*helmrelease.Release, error) {
	name := labels["name"]
	known, ok := d.histories[name]
	if !ok || labels["owner"] != owner {
		found, err := d.Secrets.Query(labels)
		isHistory := len(labels) == 2 && name != "" && labels["owner"] == owner
		if isHistory && (err == nil || errors.Is(err, driver.ErrReleaseNotFound)) {
			d.histories[name] = clones(found)
		}
		return found, err
	}
	var out []*helmrelease.Release
	for _, rel := range known {
		if agrees(rel, labels) {
			out = append(out, clone(rel))
		}
	}
	if len(out) == 0 {
		return nil, driver.ErrReleaseNotFound
	}
	return out, nil
}

func agrees(rel *helmrelease.Release, labels map[string]string) bool {
	for k, v := range labels {
		if rel.Labels[k] != v {
			return false
		}
	}
	return true
}

// Create implements driver.Driver.
func (d *Driver) Create(key string, rel *helmrelease.Release) error {
	secret, err := d.secretOf(key, rel, "createdAt")
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	stored, err := d.secrets.Create(context.Background(), secret, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		d.Forget()
		return driver.ErrReleaseExists
	}
	if err != nil {
		d.Forget()
		return fmt.Errorf("create: failed to create: %w", err)
	}
	d.remember(rel, stored)
	return nil
}

// Update implements driver.Driver.
func (d *Driver) Update(key string, rel *helmrelease.Release) error {
	secret, err := d.secretOf(key, rel, "modifiedAt")
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	stored, err := d.secrets.Update(context.Background(), secret, metav1.UpdateOptions{})
	if err != nil {
		d.Forget()
		return fmt.Errorf("update: failed to update: %w", err)
	}
	d.remember(rel, stored)
	return nil
}

// Delete implements driver.Driver.
func (d *Driver) Delete(key string) (*helmrelease.Release, error) {
	rel, err := d.Secrets.Delete(key)
	if err != nil {
		d.Forget()
		return rel, err
	}
	if known, ok := d.histories[rel.Name]; ok {
		d.histories[rel.Name] = slices.DeleteFunc(known, func(r *helmrelease.Release) bool { return r.Version == rel.Version })
	}
	return rel, nil
}

// remember notes what was written.
func (d *Driver) remember(rel *helmrelease.Release, stored *corev1.Secret) {
	known, ok := d.histories[rel.Name]
	if !ok {
		return
	}
	written := clone(rel)
	written.Labels = maps.Clone(stored.Labels)
	at := slices.IndexFunc(known, func(r *helmrelease.Release) bool { return r.Version == rel.Version })
	if at < 0 {
		d.histories[rel.Name] = append(known, written)
		return
	}
	known[at] = written
}

func clones(rels []*helmrelease.Release) []*helmrelease.Release {
	out := make([]*helmrelease.Release, 0, len(rels))
	for _, rel := range rels {
		out = append(out, clone(rel))
	}
	return out
}

// clone copies what Helm's actions change of a record.
func clone(rel *helmrelease.Release) *helmrelease.Release {
	out := *rel
	if rel.Info != nil {
		info := *rel.Info
		out.Info = &info
	}
	out.Labels = maps.Clone(rel.Labels)
	out.Hooks = nil
	for _, h := range rel.Hooks {
		hook := *h
		out.Hooks = append(out.Hooks, &hook)
	}
	return &out
}

// owner and secretType are what Helm writes into the Secrets of its releases.
// https://github.com/helm/helm/blob/v3.22.0/pkg/storage/driver/secrets.go
const (
	owner      = "helm"
	secretType = "helm.sh/release.v1"
)

// secretOf is the Secret that Helm's driver would write, with the time of writing in the named label.
func (d *Driver) secretOf(key string, rel *helmrelease.Release, timeLabel string) (*corev1.Secret, error) {
	data, err := encode(rel)
	if err != nil {
		return nil, fmt.Errorf("failed to encode release %q: %w", rel.Name, err)
	}
	labels := map[string]string{timeLabel: strconv.FormatInt(d.now().Unix(), 10)}
	maps.Copy(labels, rel.Labels)
	labels["name"], labels["owner"] = rel.Name, owner
	labels["status"], labels["version"] = rel.Info.Status.String(), strconv.Itoa(rel.Version)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: key, Labels: labels},
		Type:       secretType,
		Data:       map[string][]byte{releaseKey: data},
	}
	if d.Annotate != nil && rel.Info.Status == helmrelease.StatusDeployed {
		secret.Annotations = d.Annotate(rel)
	}
	return secret, nil
}

// compressors are reused: a new one costs more than compressing a release. Without the chart's files a release is small;
// the last few percent are not worth Helm's best compression, which takes several times as long.
var compressors = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a valid one
	return w
}}

// encode writes a release as Helm does: JSON, gzip, base64.
func encode(rel *helmrelease.Release) ([]byte, error) {
	text, err := json.Marshal(withoutTemplates(rel))
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w, ok := compressors.Get().(*gzip.Writer)
	if !ok {
		return nil, errors.New("no compressor")
	}
	defer compressors.Put(w)
	w.Reset(&packed)
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return base64.StdEncoding.AppendEncode(nil, packed.Bytes()), nil
}

// withoutTemplates keeps of a release's chart what Helm's commands read of a stored one: helm get values --all merges
// its values, helm list and history show its metadata. A rollback applies the stored manifest.
func withoutTemplates(rel *helmrelease.Release) *helmrelease.Release {
	if rel.Chart == nil {
		return rel
	}
	out := *rel
	out.Chart = &chart.Chart{Metadata: rel.Chart.Metadata, Lock: rel.Chart.Lock, Values: rel.Chart.Values}
	return &out
}
