package main

import (
	"context"
	"fmt"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync/common"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/tracing"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// What Argo CD's application controller calls itself.
const argoManager = "argocd-controller"

// By which Argo CD knows what is of which Application.
const trackingID = "argocd.argoproj.io/tracking-id"

// Argo CD's application controller, as far as it writes and compares.
type argo struct {
	settings
	config  *rest.Config
	cluster *cluster
}

func (a *argo) kubectl() *kube.KubectlCmd {
	return &kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}
}

// Marks objects as of this Application, as Argo CD does with what it renders.
func (a *argo) track(targets objects) {
	for _, target := range targets {
		annotations := target.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[trackingID] = a.trackingID(target)
		target.SetAnnotations(annotations)
	}
}

func (a *argo) trackingID(object *unstructured.Unstructured) string {
	kind := object.GroupVersionKind()
	return fmt.Sprintf("%s:%s/%s:%s/%s", a.app, kind.Group, kind.Kind, object.GetNamespace(), object.GetName())
}

// Pairs what is in Git with what is in the cluster, and with nothing what is in Git no longer.
func (a *argo) reconciled(ctx context.Context, targets objects) (sync.ReconciliationResult, error) {
	a.track(targets)
	live := map[kube.ResourceKey]*unstructured.Unstructured{}
	for _, target := range targets {
		found, err := a.cluster.live(ctx, target)
		if err != nil {
			return sync.ReconciliationResult{}, err
		}
		if found != nil {
			live[kube.GetResourceKey(found)] = found
		}
	}
	stale, err := a.cluster.stale(ctx, targets, func(object *unstructured.Unstructured) bool {
		return object.GetAnnotations()[trackingID] == a.trackingID(object)
	})
	if err != nil {
		return sync.ReconciliationResult{}, err
	}
	for _, object := range stale {
		live[kube.GetResourceKey(object)] = object
	}
	return sync.Reconcile(targets, live, a.namespace, a.cluster), nil
}

// IsNamespaced tells the engine so.
func (c *cluster) IsNamespaced(kind schema.GroupKind) (bool, error) {
	mapping, err := c.mapper.RESTMapping(kind)
	if err != nil {
		return false, err
	}
	return mapping.Scope.Name() == "namespace", nil
}

func (a *argo) sync(ctx context.Context, targets objects) ([]outcome, error) {
	pairs, err := a.reconciled(ctx, targets)
	if err != nil {
		return nil, err
	}
	syncing, cleanup, err := sync.NewSyncContext("test", pairs, a.config, a.config, a.kubectl(), a.namespace,
		sync.WithLogr(logr.Discard()),
		sync.WithOperationSettings(false, a.prune, a.force, false),
		sync.WithReplace(a.replace),
		sync.WithServerSideApply(a.serverSide),
		sync.WithServerSideApplyManager(argoManager),
		sync.WithClientSideApplyMigration(true, common.DefaultClientSideApplyMigrationManager),
	)
	if err != nil {
		return nil, fmt.Errorf("no sync: %w", err)
	}
	defer cleanup()
	for {
		syncing.Sync()
		phase, message, results := syncing.GetState()
		if phase.Completed() {
			return argoDone(phase, message, results)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the sync does not end: %s", message)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func argoDone(phase common.OperationPhase, message string, results []common.ResourceSyncResult) ([]outcome, error) {
	var outcomes []outcome
	for _, result := range results {
		object := result.ResourceKey.Kind + "/" + result.ResourceKey.Name
		if phase != common.OperationSucceeded {
			message += fmt.Sprintf("; %s: %s", object, result.Message)
		}
		outcomes = append(outcomes, outcome{Object: object, Done: string(result.Status)})
	}
	if phase != common.OperationSucceeded {
		return nil, fmt.Errorf("the sync has %s: %s", phase, message)
	}
	return outcomes, nil
}

func (a *argo) diff(ctx context.Context, targets objects) ([]outcome, error) {
	pairs, err := a.reconciled(ctx, targets)
	if err != nil {
		return nil, err
	}
	options := []diff.Option{
		diff.WithLogr(logr.Discard()),
		diff.WithManager(argoManager),
		diff.WithIgnoreMutationWebhook(!a.includeMutationWebhook),
		diff.WithStructuredMergeDiff(a.mode == "structured"),
		diff.WithServerSideDiff(a.mode == "server-side"),
	}
	if a.mode == "structured" || a.mode == "server-side" {
		_, parser, err := a.kubectl().LoadOpenAPISchema(a.config)
		if err != nil {
			return nil, fmt.Errorf("no schema: %w", err)
		}
		dryRuns, cleanup, err := a.kubectl().ManageServerSideDiffDryRuns(a.config)
		if err != nil {
			return nil, fmt.Errorf("no dry runs: %w", err)
		}
		defer cleanup()
		options = append(options, diff.WithGVKParser(parser),
			diff.WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(dryRuns)))
	}
	var outcomes []outcome
	for index, target := range pairs.Target {
		found, err := a.compared(target, pairs.Live[index], options)
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, found)
	}
	return outcomes, nil
}

func (a *argo) compared(target, live *unstructured.Unstructured, options []diff.Option) (outcome, error) {
	if target == nil {
		return outcome{Object: named(live), Drift: []string{"in Git no longer"}}, nil
	}
	if live == nil {
		return outcome{Object: named(target), Drift: []string{"not in the cluster"}}, nil
	}
	applied := live.GetAnnotations()[diff.AnnotationLastAppliedConfig]
	if a.mode == "three-way" && applied == "" {
		return outcome{}, fmt.Errorf("%s was not applied by the client, so there are no three ways", named(target))
	}
	if a.mode == "legacy" {
		// Without it there are two sides only.
		unstructured.RemoveNestedField(live.Object, "metadata", "annotations", diff.AnnotationLastAppliedConfig)
	}
	result, err := diff.Diff(target, live, options...)
	if err != nil {
		return outcome{}, fmt.Errorf("%s cannot be compared: %w", named(target), err)
	}
	found := outcome{Object: named(target)}
	if result.Modified {
		found.Drift, err = differingJSON(result.NormalizedLive, result.PredictedLive)
		if err == nil && len(found.Drift) == 0 {
			err = fmt.Errorf("%s has drifted nowhere", named(target))
		}
	}
	return found, err
}
