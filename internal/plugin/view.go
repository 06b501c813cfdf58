// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// shownEvents is how many of the last events a screen has.
const shownEvents = 8

// peeringHealthy is the condition in which the monitor tells gateway by gateway.
const peeringHealthy = "PeeringHealthy"

// found is what the API server has of one service.
type found struct {
	service *v1beta3.DataPowerService
	monitor *v1beta2.DataPowerMonitor // nil when there is none
	pods    []corev1.Pod              // by name
	events  []corev1.Event            // newest last
}

// Screen is what status prints, and its JSON.
type Screen struct {
	Service ServiceView   `json:"service"`
	Release *ReleaseView  `json:"release,omitempty"`
	Pods    []PodView     `json:"pods"`
	Peering PeeringScreen `json:"peering"`
	Events  []EventView   `json:"events"`
}

// ServiceView is the DataPowerService in short.
type ServiceView struct {
	Namespace  string             `json:"namespace"`
	Name       string             `json:"name"`
	Phase      string             `json:"phase"`
	Version    string             `json:"version"`    // as the spec has it
	Reconciled string             `json:"reconciled"` // exact, "" while unknown
	Wanted     int32              `json:"wanted"`     // pods
	Ready      int                `json:"ready"`      // pods
	Created    metav1.Time        `json:"created"`
	Conditions []metav1.Condition `json:"conditions"`
}

// ReleaseView is the Helm release that is in place.
type ReleaseView struct {
	Name     string `json:"name"`
	Revision int64  `json:"revision"`
	Chart    string `json:"chart"`
}

// PodView is a gateway's pod in short.
type PodView struct {
	Name     string      `json:"name"`
	Ready    bool        `json:"ready"`
	State    string      `json:"state"` // the phase, or why the gateway's container does not run
	Restarts int32       `json:"restarts"`
	IP       string      `json:"ip"`
	Node     string      `json:"node"`
	Created  metav1.Time `json:"created"`
}

// PeeringScreen is what the monitor tells.
type PeeringScreen struct {
	Monitor    string                 `json:"monitor"` // its phase, or none
	Monitoring bool                   `json:"monitoring"`
	Healthy    string                 `json:"healthy"` // True, False or Unknown
	Reason     string                 `json:"reason"`
	Summary    []string               `json:"summary,omitempty"` // of the service
	Gateways   []GatewayView          `json:"gateways"`
	LastWork   *v1beta2.MonitorWork   `json:"lastWork,omitempty"`
	Resets     []v1beta2.PeeringReset `json:"resets,omitempty"`
	Conditions []metav1.Condition     `json:"conditions,omitempty"`
	InProgress bool                   `json:"workInProgress"`
	Pending    bool                   `json:"workPending"`
}

// GatewayView is one row of the peering table.
type GatewayView struct {
	Pod     string `json:"pod"`
	IP      string `json:"ip"`
	Peering string `json:"peering"` // in the monitor's words
}

// EventView is an event in short.
type EventView struct {
	Last    metav1.Time `json:"last"`
	Type    string      `json:"type"`
	Reason  string      `json:"reason"`
	Object  string      `json:"object"`
	Message string      `json:"message"`
}

// gather reads everything about a service.
func gather(ctx context.Context, c Clients, name string) (found, error) {
	key := types.NamespacedName{Namespace: c.Namespace, Name: name}
	out := found{service: &v1beta3.DataPowerService{}, monitor: &v1beta2.DataPowerMonitor{}}
	if err := c.Objects.Get(ctx, key, out.service); err != nil {
		return found{}, explain(err, c.Namespace, name)
	}
	if err := c.Objects.Get(ctx, key, out.monitor); apierrors.IsNotFound(err) {
		out.monitor = nil
	} else if err != nil {
		return found{}, fmt.Errorf("read DataPowerMonitor %s/%s: %w", c.Namespace, name, err)
	}
	var err error
	if out.pods, err = podsOf(ctx, c, name); err != nil {
		return found{}, err
	}
	events := &corev1.EventList{}
	if err := c.Objects.List(ctx, events, client.InNamespace(c.Namespace)); err != nil {
		return found{}, fmt.Errorf("list events in %s: %w", c.Namespace, err)
	}
	out.events = eventsOf(events.Items, name, out.pods)
	return out, nil
}

// explain says what to do about a service that cannot be read.
func explain(err error, namespace, name string) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("no DataPowerService %q in namespace %q: see kubectl get datapowerservices -A, and give -n: %w", name, namespace, err)
	case meta.IsNoMatchError(err):
		return fmt.Errorf("the cluster does not serve DataPowerService v1beta3: is the operator installed? %w", err)
	}
	return fmt.Errorf("read DataPowerService %s/%s: %w", namespace, name, err)
}

func podsOf(ctx context.Context, c Clients, service string) ([]corev1.Pod, error) {
	list := &corev1.PodList{}
	err := c.Objects.List(ctx, list, client.InNamespace(c.Namespace), client.MatchingLabels{datapower.ServiceLabel: service})
	if err != nil {
		return nil, fmt.Errorf("list the pods of %s/%s: %w", c.Namespace, service, err)
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return list.Items, nil
}

// eventsOf keeps the events of the service, its monitor, its StatefulSet and its pods, oldest first.
func eventsOf(all []corev1.Event, name string, pods []corev1.Pod) []corev1.Event {
	ours := sets.New("DataPowerService/"+name, "DataPowerMonitor/"+name, "StatefulSet/"+name)
	for i := range pods {
		ours.Insert("Pod/" + pods[i].Name)
	}
	var out []corev1.Event
	for i := range all {
		if ours.Has(all[i].InvolvedObject.Kind + "/" + all[i].InvolvedObject.Name) {
			out = append(out, all[i])
		}
	}
	slices.SortStableFunc(out, func(a, b corev1.Event) int {
		return cmp.Or(lastSeen(a).Compare(lastSeen(b)), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// lastSeen is when an event last happened, whichever of the two event APIs wrote it.
func lastSeen(e corev1.Event) time.Time {
	switch {
	case e.Series != nil && !e.Series.LastObservedTime.IsZero():
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}

// screenOf makes the screen of what was read.
func screenOf(f found) Screen {
	svc := f.service
	out := Screen{
		Service: ServiceView{
			Namespace: svc.Namespace, Name: svc.Name, Phase: string(svc.Status.Phase), Version: svc.Spec.Version,
			Wanted: ptr.Deref(svc.Spec.Replicas, 1), Created: svc.CreationTimestamp, Conditions: svc.Status.Conditions,
		},
		Pods: []PodView{}, Events: []EventView{}, Peering: peeringOf(f),
	}
	if svc.Status.Versions != nil {
		out.Service.Reconciled = svc.Status.Versions.Reconciled
	}
	if r := svc.Status.DeployedRelease; r != nil {
		out.Release = &ReleaseView{Name: r.Name, Revision: r.Revision, Chart: r.Chart}
	}
	for i := range f.pods {
		view := podView(f.pods[i])
		if view.Ready {
			out.Service.Ready++
		}
		out.Pods = append(out.Pods, view)
	}
	for _, e := range f.events[max(0, len(f.events)-shownEvents):] {
		out.Events = append(out.Events, EventView{
			Last: metav1.NewTime(lastSeen(e)), Type: e.Type, Reason: e.Reason,
			Object: e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name, Message: e.Message,
		})
	}
	return out
}

func podView(pod corev1.Pod) PodView {
	out := PodView{
		Name: pod.Name, State: string(pod.Status.Phase), IP: pod.Status.PodIP, Node: pod.Spec.NodeName, Created: pod.CreationTimestamp,
	}
	for _, c := range pod.Status.Conditions {
		out.Ready = out.Ready || c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name != datapower.ContainerName {
			continue
		}
		out.Restarts = c.RestartCount
		if c.State.Waiting != nil {
			out.State = c.State.Waiting.Reason
		}
	}
	if pod.DeletionTimestamp != nil {
		out.State = "Terminating"
	}
	return out
}

func peeringOf(f found) PeeringScreen {
	out := PeeringScreen{Monitor: "none", Healthy: "Unknown", Gateways: []GatewayView{}}
	words := map[string]string{}
	if m := f.monitor; m != nil {
		out.Monitor = cmp.Or(string(m.Status.Phase), "Pending")
		out.Monitoring = ptr.Deref(m.Spec.MonitorGatewayPeering, false)
		out.LastWork, out.Resets, out.Conditions = m.Status.LastWork, m.Status.Resets, m.Status.Conditions
		out.InProgress, out.Pending = m.Status.WorkInProgress, m.Status.WorkPending
		if c := meta.FindStatusCondition(m.Status.Conditions, peeringHealthy); c != nil {
			out.Healthy, out.Reason = string(c.Status), c.Reason
			out.Summary, words = splitHealth(c.Message, f.pods)
		}
	}
	for i := range f.pods {
		name := f.pods[i].Name
		out.Gateways = append(out.Gateways, GatewayView{Pod: name, IP: f.pods[i].Status.PodIP, Peering: cmp.Or(words[name], "not told")})
	}
	return out
}

// splitHealth takes the monitor's message apart: what is about the service, and what is about each pod ("pod: text").
func splitHealth(message string, pods []corev1.Pod) (summary []string, words map[string]string) {
	words = map[string]string{}
	podOf := func(text string) int {
		return slices.IndexFunc(pods, func(p corev1.Pod) bool { return strings.HasPrefix(text, p.Name+": ") })
	}
	var texts []string
	for part := range strings.SplitSeq(message, "; ") {
		// Advice stands in parentheses and may hold the separator. One that was cut off ends where the next pod begins.
		if last := len(texts) - 1; last >= 0 && podOf(part) < 0 && strings.Count(texts[last], "(") > strings.Count(texts[last], ")") {
			texts[last] += "; " + part
			continue
		}
		texts = append(texts, part)
	}
	for _, text := range texts {
		at := podOf(text)
		switch {
		case text == "":
		case at < 0:
			summary = append(summary, text)
		default:
			words[pods[at].Name] = strings.TrimPrefix(text, pods[at].Name+": ")
		}
	}
	return summary, words
}
