//! A fleet as manifests for Kubernetes (`throng fleet manifest`): agents as an Indexed Job, a coordinator as a Job, and on request a
//! NATS server and a PodMonitor. The one place with these templates: `deploy/kubernetes` has what they make for a million connections.

use crate::human::{count, things};
use crate::tune::wrapped;
use std::fmt::Write;

const WIDTH: usize = 100;
/// Ports from 1024 to 65535: the most connections from one pod, which has one address, to one target.
pub const PORTS: u64 = 65_535 - 1024 + 1;
/// The kernel's memory for a connection, with what may wait in its buffers, and throng's own for a pod.
const KIB_PER_CONNECTION: u64 = 5;
const MIB_PER_POD: u64 = 128;
/// Where the coordinator has its metrics.
const METRICS_PORT: u16 = 9464;
/// When agents end in any case, also those whose coordinator failed before it had them: a day.
const DEADLINE_S: u32 = 86_400;
/// How long jobs that are over are kept, with their logs: a week.
const KEPT_S: u32 = 604_800;
/// The seccomp profile of the node's container runtime.
const RUNTIMES_OWN: &str = "{type: RuntimeDefault}";

/// A fleet to write manifests for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// What all its objects are called, and their names begin with: a DNS label.
    pub name: String,
    /// The image.
    pub image: String,
    /// Connections in all.
    pub connections: u64,
    /// Pods that open them.
    pub agents: u64,
    /// What agents may load.
    pub allow: Vec<String>,
    /// The words behind `throng load -c N`: targets and options.
    pub load: Vec<String>,
    /// A NATS server that is there, as `SCHEME://HOST:PORT`; without one, the manifests have one.
    pub nats: Option<String>,
    /// Whether Prometheus's operator is to scrape the coordinator.
    pub pod_monitor: bool,
    /// The seccomp profile of throng's pods that allows io_uring, below the kubelet's folder; the runtime's own if there is none.
    pub seccomp: Option<String>,
}

impl Fleet {
    /// The most connections that one agent has.
    pub fn share(&self) -> u64 {
        self.connections.div_ceil(self.agents.max(1))
    }

    /// All manifests, with the arithmetic on top.
    pub fn manifests(&self) -> String {
        let mut text = self.head();
        text += &self
            .words()
            .manifests(self.nats.is_none(), self.pod_monitor);
        text
    }

    fn words(&self) -> Words {
        let share = self.share();
        Words {
            name: self.name.clone(),
            image: quoted(&self.image),
            agents: self.agents.to_string(),
            connections: self.connections.to_string(),
            memory: format!("{}Mi", share * KIB_PER_CONNECTION / 1024 + MIB_PER_POD),
            nats: quoted(&match &self.nats {
                Some(url) => with_login(url),
                None => format!("nats://throng:$(NATS_PASSWORD)@{}-nats:4222", self.name),
            }),
            allow: list(self.allow.iter().flat_map(|target| ["--allow", target])),
            load: list(self.load.iter().map(String::as_str)),
            metrics: match self.pod_monitor {
                true => list(["--prometheus", &format!("0.0.0.0:{METRICS_PORT}")].into_iter()),
                false => String::new(),
            },
            seccomp: match &self.seccomp {
                Some(file) => format!("{{type: Localhost, localhostProfile: {}}}", quoted(file)),
                None => RUNTIMES_OWN.into(),
            },
        }
    }

    fn head(&self) -> String {
        let share = self.share();
        let mut text = comment(&format!(
            "{} from {}: at most {} each, of the {} ports that a pod, which has one address, has to each target.",
            things(self.connections, "connection"),
            things(self.agents, "agent"),
            count(share),
            count(PORTS)
        ));
        text += &comment(&format!(
            "Memory of each: {KIB_PER_CONNECTION} KiB a connection and {MIB_PER_POD} MiB. Where the node's seccomp profile forbids io_uring, a \
             connection is an open file of the container, too."
        ));
        text += &comment("Once, the password of the NATS server, whose user is throng:");
        let _ = writeln!(
            text,
            "#     kubectl create secret generic {}-nats --from-literal=password=\"$(openssl rand -hex 16)\"",
            self.name
        );
        text += &comment("Then this file, and the summary:");
        let _ = writeln!(
            text,
            "#     kubectl apply -f FILE\n#     kubectl logs -f job/{0}-coordinator\n#     kubectl delete -f FILE",
            self.name
        );
        text
    }
}

/// What differs between manifests, as it is written in them.
struct Words {
    name: String,
    image: String,
    agents: String,
    connections: String,
    memory: String,
    nats: String,
    allow: String,
    load: String,
    metrics: String,
    seccomp: String,
}

impl Words {
    /// The manifests, which each begin with `---`.
    fn manifests(&self, with_nats: bool, with_monitor: bool) -> String {
        let mut text = String::new();
        if with_nats {
            text += &self.nats();
        }
        text += &self.agents();
        text += &self.coordinator();
        if with_monitor {
            text += &self.monitor();
        }
        text
    }

    fn labels(&self, component: &str, indent: &str) -> String {
        format!(
            "{indent}app.kubernetes.io/name: throng\n{indent}app.kubernetes.io/instance: {}\n\
             {indent}app.kubernetes.io/component: {component}\n",
            self.name
        )
    }

    /// The security of each pod: nobody, who writes nothing.
    fn pod_security(&self, seccomp: &str, sysctls: &str) -> String {
        format!(
            "      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        runAsUser: 65534
        runAsGroup: 65534
        fsGroup: 65534
        seccompProfile: {seccomp}
{sysctls}"
        )
    }

    /// The password, as a variable of the container.
    fn password(&self) -> String {
        format!(
            "          env:
            - name: NATS_PASSWORD
              valueFrom: {{secretKeyRef: {{name: {}-nats, key: password}}}}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {{drop: [ALL]}}
",
            self.name
        )
    }

    fn nats(&self) -> String {
        let Words { name, .. } = self;
        let labels = self.labels("nats", "    ");
        let pod_labels = self.labels("nats", "        ");
        let selector = self.labels("nats", "      ");
        format!(
            "---
# Between agents and coordinator: orders, intervals and results. It has no storage that outlives it.
apiVersion: v1
kind: Service
metadata:
  name: {name}-nats
  labels:
{labels}spec:
  selector:
{labels}  ports:
    - {{name: nats, port: 4222}}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}-nats
  labels:
{labels}spec:
  replicas: 1
  selector:
    matchLabels:
{selector}  template:
    metadata:
      labels:
{pod_labels}    spec:
{security}      containers:
        - name: nats
          image: nats:2.10
          args: [\"--jetstream\", \"--store_dir\", \"/data\", \"--user\", \"throng\", \"--pass\", \"$(NATS_PASSWORD)\"]
          ports:
            - {{name: nats, containerPort: 4222}}
          readinessProbe:
            tcpSocket: {{port: nats}}
            periodSeconds: 2
          resources:
            requests: {{cpu: 500m, memory: 256Mi}}
            limits: {{memory: 1Gi}}
{password}          volumeMounts:
            - {{name: data, mountPath: /data}}
      volumes:
        - {{name: data, emptyDir: {{sizeLimit: 1Gi}}}}
",
            security = self.pod_security(RUNTIMES_OWN, ""),
            password = self.password(),
        )
    }

    fn agents(&self) -> String {
        let Words {
            name,
            image,
            agents,
            memory,
            nats,
            allow,
            ..
        } = self;
        let labels = self.labels("agent", "    ");
        let pod_labels = self.labels("agent", "        ");
        let spread = self.labels("agent", "              ");
        let sysctls = "        sysctls:
          # Any pod may set this one: it is of its own network.
          - {name: net.ipv4.ip_local_port_range, value: \"1024 65535\"}
";
        format!(
            "---
# Each pod is an agent for one run: it opens its share of the connections when the coordinator says so.
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}-agents
  labels:
{labels}spec:
  completionMode: Indexed
  completions: {agents}
  parallelism: {agents}
  backoffLimit: 10
  # Agents whose coordinator does not come end then, and so would those of a longer run.
  activeDeadlineSeconds: {DEADLINE_S}
  # Its logs are there for a week.
  ttlSecondsAfterFinished: {KEPT_S}
  template:
    metadata:
      labels:
{pod_labels}    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 60
      # Spread evenly over the nodes: each has its own cores and limits.
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
{spread}{security}      containers:
        - name: agent
          image: {image}
          args:
            - agent
            - --nats
            - {nats}
            - --name
            - agent-$(JOB_COMPLETION_INDEX)
            - --once
            - --keep
            - /data
{allow}          resources:
            requests: {{cpu: 500m, memory: {memory}}}
            limits: {{memory: {memory}}}
{password}          volumeMounts:
            - {{name: data, mountPath: /data}}
      volumes:
        # Results that no coordinator took.
        - {{name: data, emptyDir: {{}}}}
",
            security = self.pod_security(&self.seccomp, sysctls),
            password = self.password(),
        )
    }

    fn coordinator(&self) -> String {
        let Words {
            name,
            image,
            agents,
            connections,
            nats,
            load,
            metrics,
            ..
        } = self;
        let labels = self.labels("coordinator", "    ");
        let pod_labels = self.labels("coordinator", "        ");
        format!(
            "---
# Waits for all agents, gives them their shares, and prints one summary.
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}-coordinator
  labels:
{labels}spec:
  # A run that fell short is not repeated.
  backoffLimit: 0
  # Its log has the summary, which is there for a week.
  ttlSecondsAfterFinished: {KEPT_S}
  template:
    metadata:
      labels:
{pod_labels}    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 60
{security}      containers:
        - name: coordinator
          image: {image}
          args:
            - fleet
            - run
            - --nats
            - {nats}
            - --nats-wait
            - 10m
            - --agents
            - \"nats:{agents}\"
            - load
            - --connections
            - \"{connections}\"
{metrics}{load}          ports:
            - {{name: metrics, containerPort: {METRICS_PORT}}}
          resources:
            requests: {{cpu: 500m, memory: 512Mi}}
{password}",
            security = self.pod_security(&self.seccomp, ""),
            password = self.password(),
        )
    }

    fn monitor(&self) -> String {
        let labels = self.labels("coordinator", "    ");
        let selector = self.labels("coordinator", "      ");
        format!(
            "---
# The run in Prometheus, where its operator is installed.
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: {}
  labels:
{labels}spec:
  selector:
    matchLabels:
{selector}  podMetricsEndpoints:
    - port: metrics
      interval: 5s
",
            self.name
        )
    }
}

/// Words as items of `args`.
fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words
        .map(|word| format!("            - {}\n", quoted(&word.replace("$(", "$$("))))
        .collect()
}

/// A string of YAML in double quotes, whose escapes are those of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The URL with the user throng, and the password that the container has in its environment.
fn with_login(url: &str) -> String {
    let (scheme, place) = url.split_once("://").unwrap_or(("nats", url));
    format!("{scheme}://throng:$(NATS_PASSWORD)@{place}")
}

fn comment(text: &str) -> String {
    wrapped(text, "# ", WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet() -> Fleet {
        Fleet {
            name: "throng".into(),
            image: "registry.lan/throng:1".into(),
            connections: 10_000_000,
            agents: 300,
            allow: vec!["10.0.0.7/32:9000".into()],
            load: ["--hold", "1m", "-m", "$(x) \"y\"", "10.0.0.7:9000"]
                .map(str::to_owned)
                .to_vec(),
            nats: None,
            pod_monitor: true,
            seccomp: None,
        }
    }

    #[test]
    fn shares_add_up_to_what_is_asked_and_are_told() {
        let text = fleet().manifests();
        for part in [
            "10,000,000 connections from 300 agents: at most 33,334 each",
            "completions: 300\n  parallelism: 300\n",
            "- \"nats:300\"",
            "- \"10000000\"",
            // 33,334 x 5 KiB = 162 MiB, and 128.
            "memory: 290Mi",
            "- \"0.0.0.0:9464\"",
        ] {
            assert!(text.contains(part), "no '{part}':\n{text}");
        }
        assert!(fleet().share() * 300 >= 10_000_000);
    }

    #[test]
    fn no_job_waits_or_stays_for_ever() {
        let text = fleet().manifests();
        let of = |key: &str| text.matches(key).count();
        let counts = (
            of("activeDeadlineSeconds: 86400"),
            of("ttlSecondsAfterFinished: 604800"),
        );
        assert_eq!(counts, (1, 2), "{text}");
    }

    #[test]
    fn words_of_the_user_are_strings_in_which_kubernetes_replaces_nothing() {
        let text = fleet().manifests();
        assert!(text.contains(r#"- "$$(x) \"y\"""#), "{text}");
    }

    #[test]
    fn a_profile_made_for_throng_is_for_its_own_pods() {
        let fleet = Fleet {
            seccomp: Some("throng.json".into()),
            ..fleet()
        };
        let text = fleet.manifests();
        let of = |profile: &str| text.matches(profile).count();
        // Agents and the coordinator; NATS.
        let counts = (of("localhostProfile: \"throng.json\""), of(RUNTIMES_OWN));
        assert_eq!(counts, (2, 1), "{text}");
    }

    #[test]
    fn a_server_that_is_there_is_used_and_no_other_made() {
        let fleet = Fleet {
            nats: Some("tls://nats.lan:4222".into()),
            pod_monitor: false,
            ..fleet()
        };
        let text = fleet.manifests();
        assert!(
            text.contains("tls://throng:$(NATS_PASSWORD)@nats.lan:4222"),
            "{text}"
        );
        for part in [
            "kind: Deployment",
            "kind: Service",
            "PodMonitor",
            "--prometheus",
        ] {
            assert!(!text.contains(part), "{part}:\n{text}");
        }
    }
}
