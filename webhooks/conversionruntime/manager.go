package conversionruntime

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

// certificateUse is the label of the metrics of certificates.
const certificateUse = "conversion"

// caName is the common name of CAs.
const caName = "datapower-conversion-ca"

// Backoff of rounds that fail.
const (
	firstBackoff = 200 * time.Millisecond
	lastBackoff  = 15 * time.Second
)

// Manager keeps the conversion webhook right. Make it with [New]; it is started once, on the leader.
type Manager struct {
	options  Options
	endpoint endpoint
	names    pki.Names
	owner    metav1.OwnerReference // of the last definition seen

	httpClient *http.Client
	client     client.Client // reads and writes the API server itself
	watches    *watches
	secrets    *pki.WatchedSecrets
	keeper     *pki.Keeper
	writer     *writer
	replicas   pki.Replicas

	held      bool      // this process has been the holder
	trusted   time.Time // since when the definition is known to trust the certificates to be served
	said      map[string]string
	forbidden bool // in this round, something could not be done for lack of rights
}

// New makes a Manager. It fails with [ErrOptions], with [pki.ErrPolicy], or when the API server cannot be reached for
// discovery.
func New(options Options) (*Manager, error) {
	if err := options.validate(); err != nil {
		return nil, err
	}
	m := &Manager{options: options, endpoint: options.endpoint(), said: map[string]string{}}
	var err error
	if m.names, err = options.names(); err != nil {
		return nil, err
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	if m.httpClient, err = rest.HTTPClientFor(options.Config); err != nil {
		return nil, fmt.Errorf("preparing to reach the API server: %w", err)
	}
	if m.watches, err = newWatches(options.Config, m.httpClient, scheme); err != nil {
		return nil, err
	}
	if m.client, err = client.New(options.Config, client.Options{HTTPClient: m.httpClient, Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("preparing to reach the API server: %w", err)
	}
	clientset, err := kubernetes.NewForConfigAndClient(options.Config, m.httpClient)
	if err != nil {
		return nil, fmt.Errorf("preparing to reach the API server: %w", err)
	}
	m.replicas = pki.ServiceReplicas{Client: clientset.DiscoveryV1(), Service: Name, Namespace: options.Namespace}
	if options.Local != nil {
		m.replicas = pki.FixedReplicas{options.address()}
	}
	m.writer = &writer{client: m.client, verified: map[string]string{}}
	m.secrets = pki.NewWatchedSecrets(clientset.CoreV1(), options.Namespace, CASecretName, SecretName)
	m.keeper, err = pki.NewKeeper(pki.Options{
		Secrets: m.secrets, Namespace: options.Namespace, CASecret: CASecretName, LeafSecret: SecretName,
		CommonName: caName, Names: m.names, Labels: Labels(), Replicas: m.replicas,
		Owners: func(context.Context) ([]metav1.OwnerReference, error) { return []metav1.OwnerReference{m.owner}, nil },
		Policy: options.Policy, Clock: options.Clock,
	})
	return m, err
}

// NeedLeaderElection says that one replica of an operator manages the webhook.
func (m *Manager) NeedLeaderElection() bool { return true }

// Start works until ctx ends.
func (m *Manager) Start(ctx context.Context) error {
	defer m.httpClient.CloseIdleConnections()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstBackoff, lastBackoff))
	changed := func() { queue.Add(Name) }

	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	if err := m.secrets.OnChange(func(string, *corev1.Secret) { changed() }); err != nil {
		return err
	}
	running.Go(func() { _ = m.secrets.Start(ctx) }) // never fails: it ends with ctx
	if err := m.watches.start(ctx, &running, changed); err != nil {
		return ignoreEnd(ctx, err)
	}
	synced := func(context.Context) (bool, error) { return m.secrets.Synced(), nil }
	if err := wait.PollUntilContextCancel(ctx, firstBackoff, true, synced); err != nil {
		return ignoreEnd(ctx, err)
	}
	changed()
	running.Go(func() { <-ctx.Done(); queue.ShutDown() })
	for m.work(ctx, queue) {
	}
	return nil
}

// ignoreEnd drops an error that only says that the work was to end.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// work does one round when there is something to do. It reports false when the queue has ended.
func (m *Manager) work(ctx context.Context, queue workqueue.TypedRateLimitingInterface[string]) bool {
	key, ended := queue.Get()
	if ended {
		return false
	}
	defer queue.Done(key)
	round, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	again, err := m.round(round)
	switch {
	case ctx.Err() != nil:
	case apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || errors.Is(err, errGone):
		// Somebody was faster. What they wrote arrives by the watches.
		m.options.Log.V(1).Info("looking again", "reason", err.Error())
		queue.AddRateLimited(key)
	case err != nil:
		m.options.Log.Error(err, "keeping the conversion webhook")
		queue.AddRateLimited(key)
	default:
		queue.Forget(key)
		if again > 0 {
			queue.AddAfter(key, again)
		}
	}
	return true
}

// round looks at everything and does what can be done now. It returns when to look again if nothing changes, zero for
// never.
func (m *Manager) round(ctx context.Context) (time.Duration, error) {
	definition, found, err := get(ctx, m.watches.definitions, "", CRDName, &apiextensionsv1.CustomResourceDefinition{})
	if err != nil {
		return 0, err
	}
	if !found || definition.DeletionTimestamp != nil {
		m.say("role", "there is no definition of DataPowerService: nothing is to be converted")
		return 0, nil
	}
	m.owner = ownerOf(definition.UID)
	world, err := m.watches.world(ctx, m.options.self(), definition)
	if err != nil {
		return 0, err
	}
	world.Held = m.held
	decision := Decide(world)
	switch decision.Role {
	case RoleStandBy:
		m.say("role", "another operator manages the conversion webhook", "manager", decision.Manager.String(), "reason", decision.Why)
		return 0, nil
	case RoleClaim:
		return soon, m.claim(ctx, definition)
	default:
		m.held = true
		m.say("role", "managing the conversion webhook", "endpoint", m.endpoint.String())
		return m.manage(ctx, definition, decision)
	}
}

// claim makes this operator the one that manages the webhook, unless somebody was faster.
func (m *Manager) claim(ctx context.Context, definition *apiextensionsv1.CustomResourceDefinition) error {
	patch, err := claim(m.options.self(), definition.ResourceVersion)
	if err != nil {
		return err
	}
	return m.patchDefinition(ctx, patch, "claiming the conversion of "+CRDName)
}

func (m *Manager) patchDefinition(ctx context.Context, patch []byte, doing string) error {
	target := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: CRDName}}
	err := m.client.Patch(ctx, target, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(fieldManager))
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// manage does what there is to do for the operator that the definition names.
func (m *Manager) manage(ctx context.Context, definition *apiextensionsv1.CustomResourceDefinition, d Decision) (time.Duration, error) {
	m.forbidden = false
	if d.Replace != nil && m.options.Deployment {
		return soon, m.replaceOrphan(ctx, *d.Replace)
	}
	published := []byte(nil)
	if live := definition.Spec.Conversion; m.endpoint.leadsTo(live) {
		published = bundleOf(live)
	}
	kept, problem := m.keeper.Keep(ctx, published)
	if m.options.Certificates != nil {
		m.options.Certificates.Kept(certificateUse, kept, problem)
	}
	if problem != nil {
		m.certificateProblem(problem)
	}
	if len(kept.Bundle) == 0 {
		return soon, problem
	}
	if len(kept.Wrote) > 0 {
		m.options.Log.Info("wrote certificates of the conversion webhook", "steps", kept.Wrote)
	}
	if m.options.Deployment {
		if err := m.ensureObjects(ctx); err != nil {
			return 0, err
		}
	}
	if err := m.serve(published); err != nil {
		return soon, err
	}
	settled, err := m.publish(ctx, definition, kept.Bundle)
	if err != nil || !settled {
		return soon, err
	}
	m.removeOrphans(ctx, d.Remove)
	if m.options.Settled != nil {
		m.options.Settled(definition)
	}
	if m.forbidden {
		return min(kept.Again, forbiddenRetry), nil
	}
	return kept.Again, nil
}

// certificateProblem tells of a rotation that does not go on; other problems come back with the next try.
func (m *Manager) certificateProblem(problem error) {
	m.options.Log.Error(problem, "keeping the certificates of the conversion webhook")
	if errors.Is(problem, pki.ErrStuck) && m.options.Deployment {
		m.warn(nil, "CertificateRotationStuck", "RotateCertificates",
			"The certificates of the conversion webhook are not replaced: %v. Look at the pods of Deployment %s.", problem, Name)
	}
}

// publish writes the stanza when the webhook answers. It reports true when the definition is as it should be.
func (m *Manager) publish(ctx context.Context, definition *apiextensionsv1.CustomResourceDefinition, bundle []byte) (bool, error) {
	live := definition.Spec.Conversion
	leads := m.endpoint.leadsTo(live)
	if leads && string(bundleOf(live)) == string(bundle) {
		m.say("stanza", "the conversion webhook serves")
		return true, nil
	}
	next := bundle
	var unready error
	if leads && trusts(bundleOf(live), bundle) {
		// The bundle shrinks.
		unready = m.everyReplicaServes(ctx, bundle)
	} else {
		if leads {
			next = union(bundle, bundleOf(live))
		}
		unready = probe(ctx, m.options.address(), m.names.DNS[0], next)
	}
	if unready != nil {
		m.say("stanza", "waiting for the conversion webhook before the definition of DataPowerService is changed", "reason", unready.Error())
		return false, nil
	}
	patch, err := m.endpoint.patch(definition.ResourceVersion, next)
	if err != nil {
		return false, err
	}
	if err := m.patchDefinition(ctx, patch, "writing the conversion stanza of "+CRDName); err != nil {
		return false, err
	}
	m.options.Log.Info("the definition of DataPowerService leads to the conversion webhook", "endpoint", m.endpoint.String())
	return false, nil // until the watch shows it
}

func (m *Manager) everyReplicaServes(ctx context.Context, bundle []byte) error {
	certs, err := pki.ParseBundle(bundle)
	if err != nil {
		return err
	}
	addresses, err := m.replicas.Addresses(ctx)
	if err != nil {
		return fmt.Errorf("finding the pods of Service %s: %w", Name, err)
	}
	return pki.AskReplicas(ctx, addresses, m.names.DNS[0], certs)
}

// serve lets the server of this process serve the certificate of the Secret once the API server trusts it. published
// is what it trusts.
func (m *Manager) serve(published []byte) error {
	if m.options.Local == nil {
		return nil
	}
	secret, err := m.secrets.Get(context.Background(), SecretName)
	if err != nil || secret == nil {
		return err
	}
	serving := m.options.Local.Serving
	if serving.Leaf() != nil {
		now := m.options.Clock.Now()
		certs, _ := pki.ParseBundle(published) // a damaged one trusts nobody
		pair := pki.Pair{Cert: secret.Data[corev1.TLSCertKey], Key: secret.Data[corev1.TLSPrivateKeyKey]}
		if _, err := pki.CheckLeaf(pair, certs, m.names, now); err != nil {
			m.trusted = time.Time{}
			return nil
		}
		if m.trusted.IsZero() {
			m.trusted = now
		}
		if now.Sub(m.trusted) < noticed {
			return nil
		}
	}
	if err := serving.Load(secret); err != nil {
		return fmt.Errorf("serving the certificate of Secret %s: %w", SecretName, err)
	}
	if m.options.Certificates != nil {
		m.options.Certificates.Served(certificateUse, serving)
	}
	return nil
}

// say logs at level info when what is said under a key is not what was said last.
func (m *Manager) say(key, message string, details ...any) {
	text := message + fmt.Sprint(details...)
	if m.said[key] != text {
		m.said[key] = text
		m.options.Log.Info(message, details...)
	}
}
