// Does what GitOps tools do, by their own libraries: Argo CD's gitops-engine, and Flux's ssa package. The tests run it
// against reroll (../real/gitops.rs, ../install/gitops.rs).
//
//	gitops versions
//	gitops sync --engine argo|flux --app NAME --namespace NAMESPACE --file OBJECTS [--server-side] [--replace] [--force] [--prune]
//	gitops diff --engine argo|flux --app NAME --namespace NAMESPACE --file OBJECTS --mode MODE [--include-mutation-webhook]
//
// Modes of Argo CD are legacy (its own old way, of two sides), three-way (the same, with what was applied last), structured
// and server-side; Flux has only server-side. The cluster is that of KUBECONFIG. It prints one document of JSON: what was
// done with each object, or the paths of fields that have drifted, never a value.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// The longest that one call of this program takes.
const patience = 4 * time.Minute

// What a person would set at an Application or a Kustomization.
type settings struct {
	engine, app, namespace, file, mode                        string
	serverSide, replace, force, prune, includeMutationWebhook bool
}

// One object, and either what was done with it or where it has drifted.
type outcome struct {
	Object string   `json:"object"`
	Done   string   `json:"done,omitempty"`
	Drift  []string `json:"drift,omitempty"`
}

// A GitOps tool.
type tool interface {
	sync(ctx context.Context, objects objects) ([]outcome, error)
	diff(ctx context.Context, objects objects) ([]outcome, error)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "gitops: %v\n", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("nothing to do: the first argument is versions, sync or diff")
	}
	if arguments[0] == "versions" {
		return printed(versions())
	}
	wanted, err := parsed(arguments)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return fmt.Errorf("no cluster by KUBECONFIG: %w", err)
	}
	config.QPS, config.Burst = 200, 400
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cluster, err := connect(config)
	if err != nil {
		return err
	}
	read, err := cluster.read(wanted.file, wanted.namespace)
	if err != nil {
		return err
	}
	var by tool = &argo{wanted, config, cluster}
	if wanted.engine == "flux" {
		by = &flux{wanted, config, cluster}
	}
	do := by.sync
	if arguments[0] == "diff" {
		do = by.diff
	}
	outcomes, err := do(ctx, read)
	if err != nil {
		return err
	}
	return printed(outcomes)
}

func parsed(arguments []string) (settings, error) {
	var wanted settings
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	flags.StringVar(&wanted.engine, "engine", "", "argo or flux")
	flags.StringVar(&wanted.app, "app", "", "the Application or Kustomization")
	flags.StringVar(&wanted.namespace, "namespace", "default", "of objects that name none")
	flags.StringVar(&wanted.file, "file", "", "the objects as in Git, as YAML or JSON")
	flags.StringVar(&wanted.mode, "mode", "server-side", "legacy, three-way, structured or server-side")
	flags.BoolVar(&wanted.serverSide, "server-side", false, "Argo CD's ServerSideApply=true")
	flags.BoolVar(&wanted.replace, "replace", false, "Argo CD's Replace=true")
	flags.BoolVar(&wanted.force, "force", false, "Argo CD's Force=true, or Flux's force")
	flags.BoolVar(&wanted.prune, "prune", false, "delete what is in Git no longer")
	flags.BoolVar(&wanted.includeMutationWebhook, "include-mutation-webhook", false, "Argo CD's IncludeMutationWebhook=true")
	if err := flags.Parse(arguments[1:]); err != nil {
		return wanted, err
	}
	modes := map[string]string{"argo": " legacy three-way structured server-side ", "flux": " server-side "}
	switch {
	case arguments[0] != "sync" && arguments[0] != "diff":
		return wanted, fmt.Errorf("there is no %q: the first argument is versions, sync or diff", arguments[0])
	case flags.NArg() != 0:
		return wanted, fmt.Errorf("what is %q for?", flags.Arg(0))
	case wanted.app == "" || wanted.file == "" || modes[wanted.engine] == "":
		return wanted, fmt.Errorf("--engine (argo or flux), --app and --file are needed")
	case !strings.Contains(modes[wanted.engine], " "+wanted.mode+" "):
		return wanted, fmt.Errorf("%s has no mode %q", wanted.engine, wanted.mode)
	case wanted.engine == "flux" && (wanted.replace || wanted.serverSide || wanted.includeMutationWebhook):
		return wanted, fmt.Errorf("flux has neither Replace nor another way to apply than server-side")
	}
	return wanted, nil
}

// The versions of both libraries that were linked.
func versions() map[string]string {
	all := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/argoproj/argo-cd/gitops-engine" || module.Path == "github.com/fluxcd/pkg/ssa" {
				all[module.Path] = module.Version
			}
		}
	}
	return all
}

func printed(document any) error { return json.NewEncoder(os.Stdout).Encode(document) }
