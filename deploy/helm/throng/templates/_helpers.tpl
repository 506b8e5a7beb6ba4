{{/* The arithmetic and the parts that objects share. It is that of throng fleet manifest. */}}

{{/* What all objects are called, and their names begin with: the release. */}}
{{- define "throng.name" -}}
{{- if gt (len .Release.Name) 40 -}}
{{- fail (printf "release '%s': names of pods need room for more; choose one of up to 40 characters" .Release.Name) -}}
{{- end -}}
{{- .Release.Name -}}
{{- end -}}

{{/* Labels of a component: (list . COMPONENT). */}}
{{- define "throng.labels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: throng
app.kubernetes.io/instance: {{ include "throng.name" $root }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Most connections of each agent, if their number is not given. */}}
{{- define "throng.perAgent" -}}
{{- int64 .Values.perAgent | default (mul 50000 (len .Values.targets)) | max 1 -}}
{{- end -}}

{{/* How many agents there are. */}}
{{- define "throng.agents" -}}
{{- $each := include "throng.perAgent" . | int64 -}}
{{- int64 .Values.agents | default (div (add (int64 .Values.connections) $each -1) $each) -}}
{{- end -}}

{{/* The most connections that one agent has. */}}
{{- define "throng.share" -}}
{{- $agents := include "throng.agents" . | int64 | max 1 -}}
{{- div (add (int64 .Values.connections) $agents -1) $agents -}}
{{- end -}}

{{/* Refuses what can't work. */}}
{{- define "throng.check" -}}
{{- $connections := int64 .Values.connections -}}
{{- $agents := include "throng.agents" . | int64 -}}
{{- $most := mul 64512 (len .Values.targets) | max 1 -}}
{{- if not .Values.targets -}}
{{- fail "targets: what to load is missing; write --set 'targets={10.0.0.7:9000}'" -}}
{{- end -}}
{{- if not $connections -}}
{{- fail "connections: how many is missing; write --set connections=1000000" -}}
{{- end -}}
{{- if and .Values.agents .Values.perAgent -}}
{{- fail "agents and perAgent: each follows from the other; write one of them" -}}
{{- end -}}
{{- if gt $agents $connections -}}
{{- fail (printf "agents: %d for %d connections: some would have none; write %d or fewer" $agents $connections $connections) -}}
{{- end -}}
{{- if gt (include "throng.share" . | int64) $most -}}
{{- fail (printf "%s connections for an agent: a pod has one address, and so 64512 ports to each target; write agents: %d or more, or name more targets" (include "throng.share" .) (div (add $connections $most -1) $most)) -}}
{{- end -}}
{{- if not .Values.allow -}}
{{- range .Values.targets -}}
{{- if not (regexMatch "^([0-9]+(\\.[0-9]+){3}|\\[[0-9a-fA-F:.]+\\]):[0-9]+$" .) -}}
{{- fail (printf "targets: what agents may load is not known from '%s', which is not ADDRESS:PORT; add allow, such as --set 'allow={10.0.0.0/8:9000}'" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A word of args as a string in which Kubernetes replaces nothing. */}}
{{- define "throng.word" -}}
{{- . | replace "$(" "$$(" | toJson -}}
{{- end -}}

{{/* The NATS server, with the user throng and the password that the container has in its environment. */}}
{{- define "throng.nats" -}}
{{- if .Values.nats.url -}}
{{- .Values.nats.url | replace "://" "://throng:$(NATS_PASSWORD)@" | quote -}}
{{- else -}}
{{- printf "nats://throng:$(NATS_PASSWORD)@%s-nats:4222" (include "throng.name" .) | quote -}}
{{- end -}}
{{- end -}}

{{/* The name of the secret with the password. */}}
{{- define "throng.secret" -}}
{{- .Values.nats.secret | default (printf "%s-nats" (include "throng.name" .)) -}}
{{- end -}}

{{/* The image of throng, and how it is had. */}}
{{- define "throng.image" -}}
image: {{ .Values.image | quote }}
{{- with .Values.imagePullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end -}}

{{/* The security of each pod: nobody, who writes nothing. The dot is the seccomp profile, or nothing for the runtime's own. */}}
{{- define "throng.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65534
runAsGroup: 65534
fsGroup: 65534
{{- if . }}
seccompProfile: {type: Localhost, localhostProfile: {{ . | quote }}}
{{- else }}
seccompProfile: {type: RuntimeDefault}
{{- end }}
{{- end -}}

{{/* The password as a variable of a container, and the container's security. */}}
{{- define "throng.container" -}}
env:
  - name: NATS_PASSWORD
    valueFrom: {secretKeyRef: {name: {{ include "throng.secret" . }}, key: password}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}
