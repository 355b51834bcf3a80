package main

import (
	"context"
	"fmt"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/normalize"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Whom Flux's kustomize-controller takes itself for.
var fluxOwner = ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"}

// Flux's kustomize-controller, as far as it writes and compares.
type flux struct {
	settings
	config  *rest.Config
	cluster *cluster
}

func (f *flux) manager(targets objects) (*ssa.ResourceManager, error) {
	writer, err := client.New(f.config, client.Options{Mapper: f.cluster.mapper})
	if err != nil {
		return nil, fmt.Errorf("no client: %w", err)
	}
	poller := polling.NewStatusPoller(writer, f.cluster.mapper, polling.Options{})
	manager := ssa.NewResourceManager(writer, poller, fluxOwner)
	manager.SetOwnerLabels(targets, f.app, f.namespace)
	if err := normalize.UnstructuredList(targets); err != nil {
		return nil, fmt.Errorf("objects are not as they should be: %w", err)
	}
	return manager, nil
}

// What kustomize-controller always asks for.
func (f *flux) options() ssa.ApplyOptions {
	options := ssa.DefaultApplyOptions()
	options.Force = f.force
	options.Cleanup = ssa.ApplyCleanupOptions{
		Annotations: []string{corev1.LastAppliedConfigAnnotation},
		FieldManagers: []ssa.FieldManager{
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationApply},
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: "before-first-apply", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: fluxOwner.Field, OperationType: metav1.ManagedFieldsOperationUpdate},
		},
	}
	return options
}

func (f *flux) sync(ctx context.Context, targets objects) ([]outcome, error) {
	manager, err := f.manager(targets)
	if err != nil {
		return nil, err
	}
	changes, err := manager.ApplyAllStaged(ctx, targets, f.options())
	if err != nil {
		return nil, fmt.Errorf("the sync has failed: %w", err)
	}
	if f.prune {
		stale, err := f.stale(ctx, manager, targets)
		if err != nil {
			return nil, err
		}
		options := ssa.DefaultDeleteOptions()
		options.Inclusions = manager.GetOwnerLabels(f.app, f.namespace)
		deleted, err := manager.DeleteAll(ctx, stale, options)
		if err != nil {
			return nil, fmt.Errorf("what is stale cannot be deleted: %w", err)
		}
		changes.Append(deleted.Entries)
	}
	var outcomes []outcome
	for _, entry := range changes.Entries {
		object := entry.ObjMetadata.GroupKind.Kind + "/" + entry.ObjMetadata.Name
		outcomes = append(outcomes, outcome{Object: object, Done: entry.Action.String()})
	}
	return outcomes, nil
}

// Flux keeps an inventory for that; its labels say the same.
func (f *flux) stale(ctx context.Context, manager *ssa.ResourceManager, targets objects) (objects, error) {
	labels := manager.GetOwnerLabels(f.app, f.namespace)
	return f.cluster.stale(ctx, targets, func(object *unstructured.Unstructured) bool {
		for key, value := range labels {
			if object.GetLabels()[key] != value {
				return false
			}
		}
		return true
	})
}

func (f *flux) diff(ctx context.Context, targets objects) ([]outcome, error) {
	manager, err := f.manager(targets)
	if err != nil {
		return nil, err
	}
	stale, err := f.stale(ctx, manager, targets)
	if err != nil {
		return nil, err
	}
	var outcomes []outcome
	for _, object := range stale {
		outcomes = append(outcomes, outcome{Object: named(object), Drift: []string{"in Git no longer"}})
	}
	for _, target := range targets {
		options := ssa.DefaultDiffOptions()
		options.Force = f.force
		change, live, merged, err := manager.Diff(ctx, target, options)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be compared: %w", named(target), err)
		}
		found := outcome{Object: named(target)}
		switch change.Action {
		case ssa.CreatedAction:
			found.Drift = []string{"not in the cluster"}
		case ssa.ConfiguredAction:
			found.Drift = drifted(live, merged)
			if len(found.Drift) == 0 {
				return nil, fmt.Errorf("%s has drifted nowhere", named(target))
			}
		}
		outcomes = append(outcomes, found)
	}
	return outcomes, nil
}

// What a dry run would change besides is of the API server's own: the version, and the generation.
func drifted(live, merged *unstructured.Unstructured) []string {
	for _, object := range []*unstructured.Unstructured{live, merged} {
		for _, field := range []string{"resourceVersion", "generation"} {
			unstructured.RemoveNestedField(object.Object, "metadata", field)
		}
		unstructured.RemoveNestedField(object.Object, "status")
	}
	return differing(live.Object, merged.Object)
}
