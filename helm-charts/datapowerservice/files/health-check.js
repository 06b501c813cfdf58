// Answers a probe of the kubelet. Reaching this point means that the gateway accepts connections and runs policies.
var log = console.options({ category: 'datapower-operator' });
log.debug('probe answered');
session.output.write('ok');
