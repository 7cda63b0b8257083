# bash completion for tracker2mqtt, tracker2mqtt-decode, -sim and -watch: the options are those of --help.

_tracker2mqtt() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	case "$previous" in
	-c | --config | --record | --password-file | --cafile | --cert | --key) COMPREPLY=($(compgen -f -- "$current")); return ;;
	--input) COMPREPLY=($(compgen -W "auto pcap raw traccar json log hex text" -- "$current")); return ;;
	--format) COMPREPLY=($(compgen -W "json msgpack" -- "$current")); return ;;
	-t | --transport)
		[ "$1" = tracker2mqtt-sim ] && { COMPREPLY=($(compgen -W "tcp udp" -- "$current")); return; }
		;;
	--capath) COMPREPLY=($(compgen -d -- "$current")); return ;;
	-V | --protocol-version)
		[ "$1" = tracker2mqtt-watch ] && { COMPREPLY=($(compgen -W "mqttv31 mqttv311 mqttv5" -- "$current")); return; }
		;;
	-p | --protocol)
		[ "$1" = tracker2mqtt-watch ] && return # a port
		COMPREPLY=($(compgen -W "h02 h02-binary h02-mixed jt808 jt808-2019" -- "$current"))
		return
		;;
	esac
	if [[ $current == -* ]]; then
		COMPREPLY=($(compgen -W "$("$1" --help 2>/dev/null | grep -oE '(^| )--[a-z][a-z-]+')" -- "$current"))
	elif [ "$1" = tracker2mqtt-decode ]; then
		COMPREPLY=($(compgen -f -- "$current"))
	fi
}
complete -F _tracker2mqtt tracker2mqtt tracker2mqtt-decode tracker2mqtt-sim tracker2mqtt-watch
