// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
)

// Why a reset is not asked for.
var (
	// ErrNotMonitored: the monitor does not look after peering, so that asking it changes nothing.
	ErrNotMonitored = errors.New("peering is not monitored")
	// ErrNotConfirmed: the user did not say yes.
	ErrNotConfirmed = errors.New("not confirmed, nothing was changed")
)

// defaultRecoveryCheck is the CRD's default of peeringRecoveryCheckIntervalMs.
const defaultRecoveryCheck = 1000

func newResetPeering(o Options) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "reset-peering NAME",
		Short: "Have the monitor look at the gateways now and reset peerings that list gateways which are gone",
		Long: `Have the monitor look at the gateways now and reset peerings that list gateways which are gone.

The monitor looks at once when its spec changes: this changes spec.peeringRecoveryCheckIntervalMs by one millisecond,
there and back by turns. What it then does is what it always does: peerings that are in order stay as they are, and a
peering that would lose its quorum is not reset. A healthy peering cannot be reset by force.`,
		Args: oneName, ValidArgsFunction: completeNames(o),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := o.Connect()
		if err != nil {
			return err
		}
		monitor, err := monitorOf(contextOf(cmd), c, args[0])
		if err != nil {
			return err
		}
		if !yes {
			fmt.Fprintf(o.ErrOut, "Peerings of %s/%s that list gateways which are gone are reset; clients may notice. Go on? [y/N] ", c.Namespace, args[0])
			if !confirmed(o.In) {
				return ErrNotConfirmed
			}
		}
		if err := askForLook(contextOf(cmd), c, monitor); err != nil {
			return err
		}
		fmt.Fprintf(o.Out, "The monitor of %s/%s was asked to look. See kubectl datapower peering %s -n %s\n", c.Namespace, args[0], args[0], c.Namespace)
		return nil
	}
	return cmd
}

// monitorOf reads the monitor, and refuses one that would do nothing.
func monitorOf(ctx context.Context, c Clients, name string) (*v1beta2.DataPowerMonitor, error) {
	monitor := &v1beta2.DataPowerMonitor{}
	err := c.Objects.Get(ctx, types.NamespacedName{Namespace: c.Namespace, Name: name}, monitor)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("no DataPowerMonitor %q in namespace %q: the operator makes one for each DataPowerService: %w", name, c.Namespace, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read DataPowerMonitor %s/%s: %w", c.Namespace, name, err)
	}
	if !ptr.Deref(monitor.Spec.MonitorGatewayPeering, false) {
		return nil, fmt.Errorf("%w: spec.monitorGatewayPeering of DataPowerMonitor %s/%s is false; set it to true first, which looks at once",
			ErrNotMonitored, c.Namespace, name)
	}
	return monitor, nil
}

// askForLook changes the monitor's spec, which asks for a look; it holds for the object that was shown to the user.
func askForLook(ctx context.Context, c Clients, monitor *v1beta2.DataPowerMonitor) error {
	before := monitor.DeepCopy()
	monitor.Spec.PeeringRecoveryCheckIntervalMs = ptr.To(nextInterval(ptr.Deref(before.Spec.PeeringRecoveryCheckIntervalMs, defaultRecoveryCheck)))
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.Objects.Patch(ctx, monitor, patch); err != nil {
		return fmt.Errorf("change DataPowerMonitor %s/%s: %w", c.Namespace, monitor.Name, err)
	}
	return nil
}

// nextInterval is one millisecond away: odd values go back down, so that repeated calls do not drift.
func nextInterval(ms int32) int32 {
	if ms%2 == 0 {
		return ms + 1
	}
	return ms - 1
}

func confirmed(in io.Reader) bool {
	line, _ := bufio.NewReader(in).ReadString('\n') // no answer is no
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes"
}
