#!/bin/sh
# Prepares the container of a DataPower Gateway, then becomes the gateway.
#
#   init.sh START-PROGRAM [ARGUMENT...]
#
# Input, below INITROOT. Numbers are positions in the spec of the DataPowerService, so no name that a user chose is part
# of a path, and every file holds one datum, so no value needs quoting.
#
#   init/debug                      true prints each step
#   init/password-method            md5 or sha256, for passwords whose Secret names no method
#   init/rbm.password-hash-algorithm, init/crypto-mode
#   init/health-check.cfg, .js      template of the listener that answers probes; @PORT@ and @PRIORITY@ are replaced
#   init/health.port, health.priority, health.soft-timeout
#   init/snmp.port, snmp.community, snmp.hosts
#   init/host.I.ip, host.I.name.J   static hosts
#   init/initcmd.I                  shell commands to run at the end
#   init/user.I.name                a user, with
#     user-commands/user.I            commands that give it its rights
#     user/I/                         its Secret: password-hashed, or password with salt and method
#   init/domain.I.name              a domain, with
#     init/domain.I.cert.J.type       usrcerts or sharedcerts, init/domain.I.cert.J.subpath
#     domain/I/cert/J/                files to copy there
#     domain/I/config/J/              files to append to the domain's start-up configuration
#     domain/I/local/J/               gzip'd tar archives to unpack into the domain's local:///
#     domain/I/passphrase/            Secret with the key passphrase
#     init/domain.I.password.J.alias, domain/I/password/J/   password alias, Secret with the key password
#
# Output, below DRROOT and SECUREROOT. A file that the gateway or a user may write too (on persistent storage) keeps what
# it holds: this script replaces its own marked block and nothing else, and it deletes no file of theirs.
#
# No value of a Secret is an argument of a program, is printed, or is part of a message.

set -eu

DRROOT=${DRROOT:-/opt/ibm/datapower/drouter}
SECUREROOT=${SECUREROOT:-/opt/ibm/datapower/root/secure}
INITROOT=${INITROOT:-/opt/datapower-operator}
EXTRAROOT=${EXTRAROOT:-/usr/local/extra}
# Implementations of crypt(3) to try, in this order.
HASHERS=${HASHERS:-openssl cryptpw shell}

# Seconds between two looks of the watchdog.
WATCH_PERIOD=${WATCH_PERIOD:-5}

PLAN=$INITROOT/init
CONFIG=$DRROOT/config
BLOCK_BEGIN='# BEGIN datapower-operator (replaced at every start)'
BLOCK_END='# END datapower-operator'

# What this script writes holds password hashes and passphrases. It is for the user and the group of the gateway: on
# persistent storage the group stays when the user changes. Byte order and byte lengths must not depend on the user's
# locale. Both are undone before anything else runs.
ORIGINAL_UMASK=$(umask)
ORIGINAL_LC_ALL=${LC_ALL-unset}
umask 007
LC_ALL=C
export LC_ALL

# ---- small tools -----------------------------------------------------------------------------------------------------

say() {
  printf 'datapower-operator: %s\n' "$*" >&2
}

die() {
  say "error: $*"
  exit 1
}

has() { # KEY
  [ -e "$PLAN/$1" ]
}

plan() { # KEY: prints its value
  cat "$PLAN/$1"
}

# Prints TEXT as one quoted argument of a configuration command. Fails on what the command language cannot hold.
cfg_quote() { # TEXT
  case $1 in
    *[[:cntrl:]]*) return 1 ;;
  esac
  printf '"%s"' "$(printf '%s\n' "$1" | sed 's/[\\"]/\\&/g')"
}

# Calls COMMAND with each regular file of FOLDER, in the order of their names. The folder is a mounted ConfigMap or
# Secret, whose own bookkeeping is in entries that begin with two dots.
each_file() { # FOLDER COMMAND [ARGUMENT...]
  ef_folder=$1
  shift
  for ef_file in "$ef_folder"/* "$ef_folder"/.[!.]*; do
    if [ -f "$ef_file" ]; then
      "$@" "$ef_file"
    fi
  done
}

# Puts a copy of FILE into FOLDER, in one step, whatever is there.
install_file() { # FOLDER FILE
  if_target=$1/${2##*/}
  cat "$2" >"$1/.datapower-operator.new"
  mv -f "$1/.datapower-operator.new" "$if_target"
}

# Prints FILE and, where it does not end its last line, a line break.
print_lines() { # FILE
  cat "$1"
  if [ -n "$(tail -c 1 "$1")" ]; then
    echo
  fi
}

# Puts BLOCK at the end of FILE, in place of the block that an earlier start put there. The rest of FILE stays.
replace_block() { # FILE BLOCK
  mkdir -p "${1%/*}"
  {
    if [ -e "$1" ]; then
      print_lines "$1" | sed "/^$BLOCK_BEGIN\$/,/^$BLOCK_END\$/d"
    fi
    printf '%s\n' "$BLOCK_BEGIN"
    grep -v -x -F -e "$BLOCK_BEGIN" -e "$BLOCK_END" "$2" || :
    printf '%s\n' "$BLOCK_END"
  } >"$1.new"
  mv -f "$1.new" "$1"
}

# Prints where a domain's files are below BASE: the domain "default" has BASE itself.
domain_folder() { # BASE NAME
  if [ "$2" = default ]; then
    printf '%s\n' "$1"
  else
    printf '%s\n' "$1/$2"
  fi
}

# ---- password hashes -------------------------------------------------------------------------------------------------

# Prints the crypt(3) hash of PASSWORD. An implementation that is missing, refuses or answers in another form is passed
# over.
crypt_password() ( # METHOD SALT PASSWORD
  case $1 in
    md5) id=1 length=22 salt=$(printf '%.8s' "$2") ;;
    sha256) id=5 length=43 salt=$(printf '%.16s' "$2") ;;
    *) return 1 ;;
  esac
  for hasher in $HASHERS; do
    hash=$("crypt_with_$hasher" "$id" "$salt" "$3" 2>/dev/null) || continue
    digest=${hash#"\$$id\$$salt\$"}
    if [ "$digest" != "$hash" ] && [ ${#digest} -eq "$length" ]; then
      printf '%s\n' "$hash"
      return
    fi
  done
  return 1
)

crypt_with_openssl() { # ID SALT PASSWORD
  command -v openssl >/dev/null || return 1
  # openssl cuts longer passwords.
  [ ${#3} -lt 256 ] || return 1
  printf '%s\n' "$3" | openssl passwd "-$1" -salt "$2" -stdin
}

crypt_with_cryptpw() { # ID SALT PASSWORD
  case $1 in
    1) cw_method=md5 ;;
    *) cw_method=sha256 ;;
  esac
  if command -v cryptpw >/dev/null; then
    printf '%s\n' "$3" | cryptpw -m "$cw_method" -S "$2" -P 0
  else
    printf '%s\n' "$3" | busybox cryptpw -m "$cw_method" -S "$2" -P 0
  fi
}

crypt_with_shell() { # ID SALT PASSWORD
  case $1 in
    1) shell_md5crypt "$2" "$3" ;;
    *) shell_sha256crypt "$2" "$3" ;;
  esac
}

# The functions below compute crypt(3) with nothing but a shell, od and md5sum or sha256sum. A shell variable cannot hold
# a NUL byte, so bytes are written as octal escapes, four characters each: "a" is \141.

# Prints the bytes of TEXT.
octal_of() { # TEXT
  printf '%s' "$1" | od -An -v -to1 | tr -d '\n' | sed 's/ \{1,\}/\\/g'
}

# Sets DIGEST to the bytes of the digest of BYTES.
digest_of() { # PROGRAM BYTES
  # shellcheck disable=SC2059 # the format is nothing but octal escapes
  do_hex=$(printf "$2" | "$1")
  do_hex=${do_hex%% *}
  DIGEST=
  while [ -n "$do_hex" ]; do
    do_rest=${do_hex#??}
    do_byte=$((0x${do_hex%"$do_rest"}))
    do_hex=$do_rest
    DIGEST="$DIGEST\\$((do_byte >> 6))$((do_byte >> 3 & 7))$((do_byte & 7))"
  done
}

# Sets REPEATED to the first COUNT bytes of BYTES BYTES BYTES...
repeat_to() { # BYTES COUNT
  REPEATED=
  while [ ${#REPEATED} -lt $(($2 * 4)) ]; do
    REPEATED=$REPEATED$1
  done
  REPEATED=$(printf '%s' "$REPEATED" | cut -c "1-$(($2 * 4))")
}

# Sets BYTE to byte NUMBER (from 0) of BYTES, as a decimal number.
byte_at() { # BYTES NUMBER
  ba_octal=$(printf '%s' "$1" | cut -c "$(($2 * 4 + 2))-$(($2 * 4 + 4))")
  BYTE=$((0$ba_octal))
}

# Prints the bytes of BYTES in crypt's base 64. Each group names three bytes ("-" is a zero), most significant first, and
# gives four characters; the last group gives LAST characters.
encode64() { # BYTES LAST GROUP...
  en_bytes=$1
  en_last=$2
  shift 2
  while [ $# -gt 0 ]; do
    en_number=0
    for en_index in $1; do
      BYTE=0
      if [ "$en_index" != - ]; then
        byte_at "$en_bytes" "$en_index"
      fi
      en_number=$((en_number << 8 | BYTE))
    done
    shift
    en_count=4
    if [ $# -eq 0 ]; then
      en_count=$en_last
    fi
    while [ "$en_count" -gt 0 ]; do
      printf '%s' './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz' |
        cut -c "$(((en_number & 63) + 1))" | tr -d '\n'
      en_number=$((en_number >> 6))
      en_count=$((en_count - 1))
    done
  done
}

shell_md5crypt() { # SALT PASSWORD
  salt=$(octal_of "$1")
  password=$(octal_of "$2")
  length=$((${#password} / 4))

  digest_of md5sum "$password$salt$password"
  repeat_to "$DIGEST" "$length"
  input="$password\\044\\061\\044$salt$REPEATED"
  first=$(printf '%s' "$password" | cut -c 1-4)
  bits=$length
  while [ "$bits" -gt 0 ]; do
    if [ $((bits & 1)) -eq 1 ]; then
      input="$input\\000"
    else
      input="$input$first"
    fi
    bits=$((bits >> 1))
  done
  digest_of md5sum "$input"

  round=0
  while [ "$round" -lt 1000 ]; do
    next_round "$round" "$password" "$salt"
    digest_of md5sum "$INPUT"
    round=$((round + 1))
  done
  printf '%s' "\$1\$$1\$"
  encode64 "$DIGEST" 2 '0 6 12' '1 7 13' '2 8 14' '3 9 15' '4 10 5' '- - 11'
}

shell_sha256crypt() { # SALT PASSWORD
  salt=$(octal_of "$1")
  password=$(octal_of "$2")
  length=$((${#password} / 4))

  digest_of sha256sum "$password$salt$password"
  inner=$DIGEST
  repeat_to "$inner" "$length"
  input="$password$salt$REPEATED"
  bits=$length
  while [ "$bits" -gt 0 ]; do
    if [ $((bits & 1)) -eq 1 ]; then
      input="$input$inner"
    else
      input="$input$password"
    fi
    bits=$((bits >> 1))
  done
  digest_of sha256sum "$input"
  start=$DIGEST

  repeat_to "$password" $((length * length))
  digest_of sha256sum "$REPEATED"
  repeat_to "$DIGEST" "$length"
  password=$REPEATED

  byte_at "$start" 0
  length=$((${#salt} / 4))
  repeat_to "$salt" $((length * (16 + BYTE)))
  digest_of sha256sum "$REPEATED"
  repeat_to "$DIGEST" "$length"
  salt=$REPEATED

  DIGEST=$start
  round=0
  while [ "$round" -lt 5000 ]; do
    next_round "$round" "$password" "$salt"
    digest_of sha256sum "$INPUT"
    round=$((round + 1))
  done
  printf '%s' "\$5\$$1\$"
  encode64 "$DIGEST" 3 '0 10 20' '21 1 11' '12 22 2' '3 13 23' '24 4 14' '15 25 5' '6 16 26' '27 7 17' '18 28 8' \
    '9 19 29' '- 31 30'
}

# Sets INPUT to what round NUMBER digests, from the bytes of password and salt and from DIGEST.
next_round() { # NUMBER PASSWORD SALT
  INPUT=$DIGEST
  if [ $(($1 & 1)) -eq 1 ]; then
    INPUT=$2
  fi
  if [ $(($1 % 3)) -ne 0 ]; then
    INPUT=$INPUT$3
  fi
  if [ $(($1 % 7)) -ne 0 ]; then
    INPUT=$INPUT$2
  fi
  if [ $(($1 & 1)) -eq 1 ]; then
    INPUT=$INPUT$DIGEST
  else
    INPUT=$INPUT$2
  fi
}

# ---- users -----------------------------------------------------------------------------------------------------------

# Prints the password hash of a user from its Secret.
user_hash() ( # INDEX NAME
  secret=$INITROOT/user/$1
  if [ -s "$secret/password-hashed" ]; then
    hash=$(cat "$secret/password-hashed")
    case $hash in
      *[!./0-9A-Za-z\$=,-]* | [!\$]*) die "user \"$2\": password-hashed of the password Secret is no crypt(3) hash" ;;
    esac
    printf '%s\n' "$hash"
    return
  fi
  if ! [ -s "$secret/password" ]; then
    die "user \"$2\": the password Secret has neither password-hashed nor password"
  fi
  password=$(cat "$secret/password")
  case $password in
    '' | *[[:cntrl:]]*) die "user \"$2\": password of the password Secret is empty or has control characters" ;;
  esac
  salt=12345678
  if [ -s "$secret/salt" ]; then
    salt=$(cat "$secret/salt")
  fi
  case $salt in
    *[!./0-9A-Za-z]*) die "user \"$2\": salt of the password Secret may only have letters, digits, . and /" ;;
  esac
  method=$(plan password-method)
  if [ -s "$secret/method" ]; then
    method=$(cat "$secret/method")
  fi
  case $method in
    md5 | sha256) ;;
    *) die "user \"$2\": method of the password Secret must be md5 or sha256" ;;
  esac
  crypt_password "$method" "$salt" "$password" || die "user \"$2\": the password could not be hashed with this image"
)

# Prints commands that delete the users that an earlier start made from the spec and that the spec names no more. Their
# accounts would live on in a configuration that the gateway saved to persistent storage.
delete_former_users() { # FILE-WITH-FORMER-NAMES FILE-WITH-NAMES
  if [ -e "$1" ]; then
    grep -v -x -F -f "$2" "$1" | while IFS= read -r df_name; do
      printf '\nno user %s\n' "$(cfg_quote "$df_name")"
    done
  fi
}

write_users() (
  set +x
  names=$CONFIG/.datapower-operator-users
  mkdir -p "$CONFIG"
  : >"$WORK/names"
  i=0
  while has "user.$i.name"; do
    plan "user.$i.name" >>"$WORK/names"
    echo >>"$WORK/names"
    i=$((i + 1))
  done
  {
    printf '%s\n' 'top; configure terminal;' '' '%if% available "user"'
    delete_former_users "$names" "$WORK/names"
    i=0
    while has "user.$i.name"; do
      name=$(plan "user.$i.name")
      quoted=$(cfg_quote "$name") || die "spec.users[$i].name has control characters"
      hash=$(user_hash "$i" "$name")
      printf '\nuser %s\n' "$quoted"
      printf '  summary "Managed by datapower-operator"\n'
      printf '  password-hashed "%s"\n' "$hash"
      sed 's/^/  /' "$INITROOT/user-commands/user.$i"
      printf '  suppress-password-change on\nexit\n'
      i=$((i + 1))
    done
    printf '\n%s\n' '%endif%'
  } >"$WORK/users.cfg"
  replace_block "$CONFIG/auto-user.cfg" "$WORK/users.cfg"
  mv -f "$WORK/names" "$names"
)

# ---- configuration of the domains ------------------------------------------------------------------------------------

# Prints settings of the whole gateway, which belong to the default domain.
gateway_settings() {
  if has rbm.password-hash-algorithm; then
    printf '\n%%if%% available "rbm"\nrbm\n  password-hash-algorithm %s\nexit\n%%endif%%\n' \
      "$(plan rbm.password-hash-algorithm)"
  fi
  if has crypto-mode; then
    printf '\ncrypto\n  crypto-mode-set %s\nexit\n' "$(plan crypto-mode)"
  fi
  static_hosts
  if has snmp.port; then
    printf '\n%%if%% available "snmp"\nsnmp\n  admin-state enabled\n  version 2c\n  ip-address 0.0.0.0\n'
    printf '  port %s\n' "$(plan snmp.port)"
    printf '  community %s "default" "read-only" %s\n' "$(cfg_quote "$(plan snmp.community)")" "$(cfg_quote "$(plan snmp.hosts)")"
    printf 'exit\n%%endif%%\n'
  fi
  if has health-check.cfg; then
    echo
    plan health-check.cfg | sed -e "s/@PORT@/$(plan health.port)/g" -e "s/@PRIORITY@/$(plan health.priority)/g"
  fi
}

static_hosts() {
  if ! has host.0.ip; then
    return
  fi
  printf '\n%%if%% available "dns"\ndns\n  admin-state enabled\n'
  sh_i=0
  while has "host.$sh_i.ip"; do
    sh_j=0
    while has "host.$sh_i.name.$sh_j"; do
      printf '  static-host %s %s\n' "$(cfg_quote "$(plan "host.$sh_i.name.$sh_j")")" "$(cfg_quote "$(plan "host.$sh_i.ip")")"
      sh_j=$((sh_j + 1))
    done
    sh_i=$((sh_i + 1))
  done
  printf 'exit\n%%endif%%\n'
}

# Prints the commands that create the application domains.
domain_objects() {
  do_i=0
  while has "domain.$do_i.name"; do
    do_name=$(plan "domain.$do_i.name")
    if [ "$do_name" != default ]; then
      printf '\ndomain %s\n' "$(cfg_quote "$do_name")"
      printf '  base-dir "local:"\n  base-dir %s\n' "$(cfg_quote "$do_name:")"
      printf '  config-file %s\n' "$(cfg_quote "$do_name.cfg")"
      printf '  visible-domain "default"\nexit\n'
    fi
    do_i=$((do_i + 1))
  done
}

# Prints the one value of a Secret as a quoted argument.
quoted_secret() { # FILE WHAT
  if ! [ -s "$1" ]; then
    die "$2: its Secret has no key ${1##*/}"
  fi
  cfg_quote "$(cat "$1")" || die "$2: the value in its Secret has control characters"
}

# Prints passphrase, password aliases and the user's files of a domain.
domain_configuration() ( # INDEX NAME
  set +x
  input=$INITROOT/domain/$1
  if [ -d "$input/passphrase" ]; then
    value=$(quoted_secret "$input/passphrase/passphrase" "passphrase of domain \"$2\"")
    printf '\n%%if%% available "domain-settings"\ndomain-settings\n  admin-state enabled\n  password-treatment masked\n'
    printf '  passphrase %s\nexit\n%%endif%%\n' "$value"
  fi
  j=0
  while has "domain.$1.password.$j.alias"; do
    alias=$(plan "domain.$1.password.$j.alias")
    value=$(quoted_secret "$input/password/$j/password" "password alias \"$alias\" of domain \"$2\"")
    printf '\npassword-alias %s\n  password %s\nexit\n' "$(cfg_quote "$alias")" "$value"
    j=$((j + 1))
  done
  j=0
  while [ -d "$input/config/$j" ]; do
    echo
    each_file "$input/config/$j" print_lines
    j=$((j + 1))
  done
)

# Writes the start-up configuration of a domain: of "default" auto-startup.cfg, of others <domain>/<domain>.cfg.
write_configuration() { # INDEX NAME
  wc_file=$CONFIG/$2/$2.cfg
  {
    printf 'top; configure terminal;\n'
    if [ "$2" = default ]; then
      wc_file=$CONFIG/auto-startup.cfg
      printf '\nexec "config:///auto-user.cfg"\n'
      gateway_settings
      domain_objects
    fi
    if [ -n "$1" ]; then
      domain_configuration "$1" "$2"
    fi
  } >"$WORK/startup.cfg"
  replace_block "$wc_file" "$WORK/startup.cfg"
}

# ---- files of the domains --------------------------------------------------------------------------------------------

copy_certificates() { # INDEX NAME
  cc_i=0
  while has "domain.$1.cert.$cc_i.type"; do
    case $(plan "domain.$1.cert.$cc_i.type") in
      usrcerts) cc_folder=$(domain_folder "$SECUREROOT/usrcerts" "$2") ;;
      *) cc_folder=$SECUREROOT/sharedcerts ;;
    esac
    if has "domain.$1.cert.$cc_i.subpath"; then
      cc_folder=$cc_folder/$(plan "domain.$1.cert.$cc_i.subpath")
    fi
    case /$cc_folder/ in
      */../*) die "spec.domains[$1].certs[$cc_i].subPath leads out of the folder" ;;
    esac
    mkdir -p "$cc_folder"
    each_file "$INITROOT/domain/$1/cert/$cc_i" install_file "$cc_folder"
    cc_i=$((cc_i + 1))
  done
}

# Unpacks ARCHIVE and copies its files into FOLDER. An archive that reaches outside is refused whole.
unpack() { # FOLDER WHAT ARCHIVE
  un_what="$2: ${3##*/}"
  tar -tzf "$3" >"$WORK/members" 2>/dev/null || die "$un_what is no gzip'd tar archive"
  if grep -q -E '^/|(^|/)\.\.(/|$)' "$WORK/members"; then
    die "$un_what has a member with an absolute path or .."
  fi
  rm -rf "$WORK/unpacked"
  mkdir "$WORK/unpacked"
  tar -xzf "$3" -o -C "$WORK/unpacked" || die "$un_what cannot be unpacked"
  if [ -n "$(find "$WORK/unpacked" ! -type f ! -type d)" ]; then
    die "$un_what has a member that is neither a file nor a folder"
  fi
  chmod -R u+rwX "$WORK/unpacked"
  cp -R -f "$WORK/unpacked/." "$1/"
}

unpack_local() { # INDEX NAME
  ul_folder=$(domain_folder "$DRROOT/local" "$2")
  mkdir -p "$ul_folder"
  ul_i=0
  while [ -d "$INITROOT/domain/$1/local/$ul_i" ]; do
    each_file "$INITROOT/domain/$1/local/$ul_i" unpack "$ul_folder" "spec.domains[$1].dpApp.local[$ul_i]"
    ul_i=$((ul_i + 1))
  done
}

write_domains() {
  default_index=
  wd_i=0
  while has "domain.$wd_i.name"; do
    wd_name=$(plan "domain.$wd_i.name")
    case $wd_name in
      '' | . | .. | */* | *[[:cntrl:]]*) die "spec.domains[$wd_i].name cannot name a folder" ;;
    esac
    copy_certificates "$wd_i" "$wd_name"
    unpack_local "$wd_i" "$wd_name"
    if [ "$wd_name" = default ]; then
      default_index=$wd_i
    else
      write_configuration "$wd_i" "$wd_name"
    fi
    wd_i=$((wd_i + 1))
  done
  write_configuration "$default_index" default
}

write_health_check() {
  if has health-check.js; then
    mkdir -p "$DRROOT/local/datapower-operator"
    install_file "$DRROOT/local/datapower-operator" "$PLAN/health-check.js"
  fi
}

# ---- start -----------------------------------------------------------------------------------------------------------

run_init_commands() (
  restore_environment
  PATH=$EXTRAROOT:$PATH
  i=0
  while has "initcmd.$i"; do
    sh "$PLAN/initcmd.$i" </dev/null || die "spec.initCmds[$i] failed with status $?"
    i=$((i + 1))
  done
)

probe_answers() { # PORT
  # A proxy that the user set for the gateway is not for this.
  if command -v curl >/dev/null; then
    http_proxy='' all_proxy='' curl --silent --fail --max-time 5 --output /dev/null "http://127.0.0.1:$1/"
  else
    http_proxy='' wget -q -T 5 -O /dev/null "http://127.0.0.1:$1/"
  fi
}

# The watchdog's soft timeout: says once when the probe port has not answered for so long, and once when it does again.
# The hard timeout is the liveness probe's.
watch_health() (
  set +x
  soft=$(plan health.soft-timeout)
  port=$(plan health.port)
  if ! command -v curl >/dev/null && ! command -v wget >/dev/null; then
    say "warning: no curl or wget in this image, so the soft timeout of the watchdog is not watched"
    return
  fi
  answered=$(date +%s)
  warned=
  while :; do
    now=$(date +%s)
    if probe_answers "$port" >/dev/null 2>&1; then
      [ -z "$warned" ] || say "the health check on port $port answers again"
      answered=$now
      warned=
    elif [ -z "$warned" ] && [ $((now - answered)) -ge "$soft" ]; then
      say "warning: the health check on port $port has not answered for $soft seconds"
      warned=yes
    fi
    sleep "$WATCH_PERIOD"
  done
)

restore_environment() {
  umask "$ORIGINAL_UMASK"
  if [ "$ORIGINAL_LC_ALL" = unset ]; then
    unset LC_ALL
  else
    LC_ALL=$ORIGINAL_LC_ALL
  fi
}

main() {
  [ $# -gt 0 ] || die "usage: init.sh START-PROGRAM [ARGUMENT...]"
  if [ "$(plan debug)" = true ]; then
    PS4='+ datapower-operator: '
    set -x
  fi
  WORK=$(mktemp -d)
  trap 'rm -rf "$WORK"' EXIT
  # Configuration that the gateway generated in an earlier life of the container must not be read in this one.
  rm -rf "$DRROOT/temporary/config" || say "warning: $DRROOT/temporary/config cannot be removed"
  write_users
  write_health_check
  write_domains
  run_init_commands
  if has health.soft-timeout; then
    watch_health </dev/null &
  fi
  rm -rf "$WORK"
  trap - EXIT
  restore_environment
  exec "$@"
}

# Other programs read this file for its functions.
if [ "${INIT_LIBRARY-}" != true ]; then
  main "$@"
fi
