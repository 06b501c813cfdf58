// Package storage keeps Helm releases in Secrets that Helm itself can read, small where they can be, and in several
// Secrets where they do not fit into one.
//
// helm-operator-plugins has a chunked driver, but it deletes the old pieces before it writes the
// new ones: a process that dies in between leaves a release that nobody can read. Here the pieces
// are written first, under names that follow from their content, and the Secret that names them
// last, so that there is a readable release at every moment.
package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

const (
	// PieceLabel on a piece holds the name of the Secret that it is a piece of.
	PieceLabel = "helm.sdk.operatorframework.io/piece-of"
	// releaseKey is where Helm's driver puts an encoded release; piecesKey takes its place when
	// the release is in pieces: a JSON list of Secret names.
	releaseKey = "release"
	piecesKey  = "pieces"
	// DefaultPieceSize leaves room for everything else in the 1 MiB that the API server allows.
	DefaultPieceSize = 768 << 10
)

// ErrIncomplete says that a piece of a release is missing.
var ErrIncomplete = errors.New("a piece of the release is missing")

// Secrets is a SecretInterface for Helm's driver: it marks what is written and splits what is too
// large.
type Secrets struct {
	clientcorev1.SecretInterface
	labels    map[string]string
	owner     metav1.OwnerReference
	pieceSize int
}

var _ clientcorev1.SecretInterface = (*Secrets)(nil)

// Create implements SecretInterface.
func (s *Secrets) Create(ctx context.Context, secret *corev1.Secret, o metav1.CreateOptions) (*corev1.Secret, error) {
	secret, err := s.split(ctx, secret)
	if err != nil {
		return nil, err
	}
	return s.SecretInterface.Create(ctx, secret, o)
}

// Update implements SecretInterface.
func (s *Secrets) Update(ctx context.Context, secret *corev1.Secret, o metav1.UpdateOptions) (*corev1.Secret, error) {
	secret, err := s.split(ctx, secret)
	if err != nil {
		return nil, err
	}
	out, err := s.SecretInterface.Update(ctx, secret, o)
	if err != nil || secret.Data[piecesKey] == nil { // a revision changes its status, never its size class
		return out, err
	}
	return out, s.prune(ctx, out)
}

// Delete implements SecretInterface.
func (s *Secrets) Delete(ctx context.Context, name string, o metav1.DeleteOptions) error {
	if err := s.SecretInterface.Delete(ctx, name, o); err != nil {
		return err
	}
	return s.prune(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

// Get implements SecretInterface.
func (s *Secrets) Get(ctx context.Context, name string, o metav1.GetOptions) (*corev1.Secret, error) {
	secret, err := s.SecretInterface.Get(ctx, name, o)
	if err != nil {
		return nil, err
	}
	_, err = s.join(ctx, secret)
	return secret, err
}

// List implements SecretInterface. A release whose pieces are gone is left out: it can't be used,
// and must not keep the others from being used. Pieces that a process did not get round to deleting
// before it died are deleted.
func (s *Secrets) List(ctx context.Context, o metav1.ListOptions) (*corev1.SecretList, error) {
	list, err := s.SecretInterface.List(ctx, o)
	if err != nil {
		return nil, err
	}
	whole := list.Items[:0]
	for i := range list.Items {
		surplus, err := s.join(ctx, &list.Items[i])
		if errors.Is(err, ErrIncomplete) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := s.deletePieces(ctx, list.Items[i].Name, surplus); err != nil {
			return nil, err
		}
		whole = append(whole, list.Items[i])
	}
	list.Items = whole
	return list, nil
}

// split marks a Secret and moves an overlong release into pieces, which are written before it
// returns.
func (s *Secrets) split(ctx context.Context, in *corev1.Secret) (*corev1.Secret, error) {
	out := in.DeepCopy()
	s.mark(out)
	data := out.Data[releaseKey]
	if len(data) <= s.pieceSize {
		return out, nil
	}
	var names []string
	for part := range slices.Chunk(data, s.pieceSize) {
		sum := sha256.Sum256(part)
		piece := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Name:   in.Name + "." + hex.EncodeToString(sum[:8]),
				Labels: map[string]string{PieceLabel: labelValue(in.Name)},
			},
			Immutable: new(true),
			Data:      map[string][]byte{releaseKey: part},
		}
		s.mark(piece)
		_, err := s.SecretInterface.Create(ctx, piece, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("write a piece of release Secret %s: %w", in.Name, err)
		}
		names = append(names, piece.Name)
	}
	list, err := json.Marshal(names)
	if err != nil {
		return nil, fmt.Errorf("list the pieces of release Secret %s: %w", in.Name, err)
	}
	delete(out.Data, releaseKey)
	out.Data[piecesKey] = list
	return out, nil
}

// join puts the release back together. It returns the names of pieces that do not belong to it.
func (s *Secrets) join(ctx context.Context, secret *corev1.Secret) (surplus []string, err error) {
	if _, ok := secret.Data[piecesKey]; !ok {
		return nil, nil
	}
	names, err := namedPieces(secret)
	if err != nil {
		return nil, err
	}
	pieces, err := s.pieces(ctx, secret.Name)
	if err != nil {
		return nil, err
	}
	var data []byte
	for _, name := range names {
		piece, ok := pieces[name]
		if !ok {
			return nil, fmt.Errorf("%w: Secret %s", ErrIncomplete, name)
		}
		data = append(data, piece...)
	}
	secret.Data[releaseKey] = data
	delete(secret.Data, piecesKey)
	return without(pieces, names), nil
}

// prune deletes the pieces that a Secret no longer names.
func (s *Secrets) prune(ctx context.Context, secret *corev1.Secret) error {
	names, err := namedPieces(secret)
	if err != nil {
		return err
	}
	pieces, err := s.pieces(ctx, secret.Name)
	if err != nil {
		return err
	}
	return s.deletePieces(ctx, secret.Name, without(pieces, names))
}

// namedPieces reads the names of a Secret's pieces; none when its release is whole.
func namedPieces(secret *corev1.Secret) ([]string, error) {
	list, ok := secret.Data[piecesKey]
	if !ok {
		return nil, nil
	}
	var names []string
	if err := json.Unmarshal(list, &names); err != nil {
		return nil, fmt.Errorf("read the list of pieces of release Secret %s: %w", secret.Name, err)
	}
	return names, nil
}

// pieces reads all pieces of a Secret that exist, by name.
func (s *Secrets) pieces(ctx context.Context, secretName string) (map[string][]byte, error) {
	list, err := s.SecretInterface.List(ctx, metav1.ListOptions{LabelSelector: PieceLabel + "=" + labelValue(secretName)})
	if err != nil {
		return nil, fmt.Errorf("list the pieces of release Secret %s: %w", secretName, err)
	}
	out := make(map[string][]byte, len(list.Items))
	for _, piece := range list.Items {
		out[piece.Name] = piece.Data[releaseKey]
	}
	return out, nil
}

// without lists the pieces that are not among names.
func without(pieces map[string][]byte, names []string) []string {
	var out []string
	for name := range pieces {
		if !slices.Contains(names, name) {
			out = append(out, name)
		}
	}
	return out
}

func (s *Secrets) deletePieces(ctx context.Context, secretName string, names []string) error {
	for _, name := range names {
		if err := s.SecretInterface.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete a piece of release Secret %s: %w", secretName, err)
		}
	}
	return nil
}

func (s *Secrets) mark(secret *corev1.Secret) {
	if secret.Labels == nil {
		secret.Labels = map[string]string{}
	}
	for k, v := range s.labels {
		secret.Labels[k] = v
	}
	secret.OwnerReferences = []metav1.OwnerReference{s.owner}
}

// labelValue shortens a Secret's name to what a label may hold.
func labelValue(name string) string {
	if len(name) <= 63 {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:46] + "-" + hex.EncodeToString(sum[:8])
}
