{{/*
The plan of the init script: one small file per datum, so that no value needs quoting and no name becomes a path. The
keys are described at the top of files/init.sh, which reads them.
*/}}

{{/* The gateway's log priority for a log level of spec.healthCheck. */}}
{{- define "datapowerservice.healthPriority" -}}
{{- $priorities := dict "dpanic" "critic" "panic" "alert" "fatal" "emerg" -}}
{{- $level := (.Values.healthCheck).logLevel | default .Values.defaults.healthCheck.logLevel -}}
{{- get $priorities $level | default $level -}}
{{- end -}}

{{/* Hash method for clear-text passwords whose Secret names none. FIPS mode knows no md5. */}}
{{- define "datapowerservice.passwordMethod" -}}
{{- $method := ternary "sha256" "md5" (eq (.Values.cryptoMode | default "") "fips-140-3-l1") -}}
{{- (.Values.rbm).passwordHashAlgorithm | default $method -}}
{{- end -}}

{{/* Data of the ConfigMap <name>-init, as YAML: the plan, the script, the template of the health check. */}}
{{- define "datapowerservice.plan" -}}
{{- $plan := dict
      "init.sh" (.Files.Get "files/init.sh")
      "debug" (toString (.Values.debug | default false))
      "password-method" (include "datapowerservice.passwordMethod" .) -}}
{{- with (.Values.rbm).passwordHashAlgorithm -}}
{{- $_ := set $plan "rbm.password-hash-algorithm" (printf "%scrypt" .) -}}
{{- end -}}
{{- with .Values.cryptoMode -}}
{{- $_ := set $plan "crypto-mode" . -}}
{{- end -}}
{{- if .Values.healthCheckListener -}}
{{- $_ := set $plan "health-check.cfg" (.Files.Get "files/health-check.cfg") -}}
{{- $_ := set $plan "health-check.js" (.Files.Get "files/health-check.js") -}}
{{- end -}}
{{- $_ := set $plan "health.port" (include "datapowerservice.healthPort" .) -}}
{{- $_ := set $plan "health.priority" (include "datapowerservice.healthPriority" .) -}}
{{- with (include "datapowerservice.watchdog" . | fromJson).soft -}}
{{- $_ := set $plan "health.soft-timeout" (printf "%d" (int64 .)) -}}
{{- end -}}
{{- with include "datapowerservice.snmp.port" . -}}
{{- $_ := set $plan "snmp.port" . -}}
{{- $_ := set $plan "snmp.community" $.Values.snmpAgent.community -}}
{{- $_ := set $plan "snmp.hosts" $.Values.snmpAgent.allowedHosts -}}
{{- end -}}
{{- range $i, $user := (include "datapowerservice.users" . | fromJson).users -}}
{{- $_ := set $plan (printf "user.%d.name" $i) $user.name -}}
{{- end -}}
{{- range $i, $domain := .Values.domains -}}
{{- include "datapowerservice.plan.domain" (dict "plan" $plan "key" (printf "domain.%d" $i) "domain" $domain) -}}
{{- end -}}
{{- range $i, $alias := .Values.hostAliases -}}
{{- $_ := set $plan (printf "host.%d.ip" $i) $alias.ip -}}
{{- range $j, $hostname := $alias.hostnames -}}
{{- $_ := set $plan (printf "host.%d.name.%d" $i $j) $hostname -}}
{{- end -}}
{{- end -}}
{{- range $i, $command := .Values.initCmds -}}
{{- $_ := set $plan (printf "initcmd.%d" $i) $command -}}
{{- end -}}
{{- toYaml $plan -}}
{{- end -}}

{{/* Adds what the plan says of a domain. Arguments (dict): plan, key (prefix of the new keys), domain. */}}
{{- define "datapowerservice.plan.domain" -}}
{{- $_ := set .plan (printf "%s.name" .key) .domain.name -}}
{{- range $j, $cert := .domain.certs -}}
{{- $_ := set $.plan (printf "%s.cert.%d.type" $.key $j) $cert.certType -}}
{{- with $cert.subPath -}}
{{- $_ := set $.plan (printf "%s.cert.%d.subpath" $.key $j) . -}}
{{- end -}}
{{- end -}}
{{- range $j, $entry := .domain.passwordMap -}}
{{- $_ := set $.plan (printf "%s.password.%d.alias" $.key $j) $entry.alias -}}
{{- end -}}
{{- end -}}
