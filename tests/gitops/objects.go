package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

type objects = []*unstructured.Unstructured

// Reads from a cluster, which both tools do in a like way.
type cluster struct {
	dynamic dynamic.Interface
	mapper  meta.RESTMapper
}

func connect(config *rest.Config) (*cluster, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("no client: %w", err)
	}
	served, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("no client: %w", err)
	}
	return &cluster{client, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(served))}, nil
}

// Objects as in Git, each with the namespace where it will be.
func (c *cluster) read(file, namespace string) (objects, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("no objects: %w", err)
	}
	all, err := kube.SplitYAML(text)
	if err != nil {
		return nil, fmt.Errorf("no objects in %s: %w", file, err)
	}
	for _, object := range all {
		mapping, err := c.mapping(object.GroupVersionKind())
		if err != nil {
			return nil, err
		}
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace && object.GetNamespace() == "" {
			object.SetNamespace(namespace)
		}
	}
	return all, nil
}

func (c *cluster) mapping(kind schema.GroupVersionKind) (*meta.RESTMapping, error) {
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, fmt.Errorf("%s is not served: %w", kind, err)
	}
	return mapping, nil
}

// What this one is in the cluster, or nil.
func (c *cluster) live(ctx context.Context, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	mapping, err := c.mapping(object.GroupVersionKind())
	if err != nil {
		return nil, err
	}
	live, err := c.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace()).Get(ctx, object.GetName(), metav1.GetOptions{})
	if errors.IsNotFound(err) {
		return nil, nil
	}
	return live, err
}

// Objects of a tool in the cluster that are none of these: of the same kinds and namespaces, and ours.
func (c *cluster) stale(ctx context.Context, targets objects, ours func(*unstructured.Unstructured) bool) (objects, error) {
	type place struct {
		kind      schema.GroupVersionKind
		namespace string
	}
	wanted, places := map[kube.ResourceKey]bool{}, map[place]bool{}
	for _, target := range targets {
		wanted[kube.GetResourceKey(target)] = true
		places[place{target.GroupVersionKind(), target.GetNamespace()}] = true
	}
	var found objects
	for place := range places {
		mapping, err := c.mapping(place.kind)
		if err != nil {
			return nil, err
		}
		list, err := c.dynamic.Resource(mapping.Resource).Namespace(place.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("no list of %s: %w", place.kind.Kind, err)
		}
		for index := range list.Items {
			object := &list.Items[index]
			if !wanted[kube.GetResourceKey(object)] && ours(object) {
				found = append(found, object)
			}
		}
	}
	return found, nil
}

func named(object *unstructured.Unstructured) string {
	return object.GetKind() + "/" + object.GetName()
}

// The paths of fields that differ, as JSON pointers, in order. Values may be those of Secrets.
func differing(left, right any) []string {
	found := map[string]bool{}
	compare("", left, right, found)
	paths := make([]string, 0, len(found))
	for path := range found {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	return paths
}

func compare(path string, left, right any, found map[string]bool) {
	if reflect.DeepEqual(left, right) {
		return
	}
	leftMap, leftIs := left.(map[string]any)
	rightMap, rightIs := right.(map[string]any)
	if leftIs && rightIs {
		for _, one := range []map[string]any{leftMap, rightMap} {
			for key := range one {
				escaped := strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
				compare(path+"/"+escaped, leftMap[key], rightMap[key], found)
			}
		}
		return
	}
	leftList, leftIs := left.([]any)
	rightList, rightIs := right.([]any)
	if leftIs && rightIs && len(leftList) == len(rightList) {
		for index := range leftList {
			compare(path+"/"+strconv.Itoa(index), leftList[index], rightList[index], found)
		}
		return
	}
	found[path] = true
}

// The same for documents. Numbers are of one type then.
func differingJSON(left, right []byte) ([]string, error) {
	var both [2]any
	for index, text := range [][]byte{left, right} {
		if err := json.Unmarshal(text, &both[index]); err != nil {
			return nil, fmt.Errorf("what the tool compares is no JSON: %w", err)
		}
	}
	return differing(both[0], both[1]), nil
}
