// What a PAC file may call beside JavaScript itself, as browsers have it. Names are resolved by the
// host, with `call_python`; nothing else of the world can be reached.

function dnsResolve(host) { return call_python("resolve", String(host)) || null; }
function myIpAddress() { return call_python("own") || "127.0.0.1"; }
function isResolvable(host) { return dnsResolve(host) !== null; }
function isPlainHostName(host) { return String(host).indexOf(".") < 0; }
function dnsDomainLevels(host) { return String(host).split(".").length - 1; }
function dnsDomainIs(host, domain) {
  return String(host).toLowerCase().endsWith(String(domain).toLowerCase());
}
function localHostOrDomainIs(host, whole) {
  var name = String(host).toLowerCase(), full = String(whole).toLowerCase();
  return name === full || full.startsWith(name + ".");
}
function alert() {}

function shExpMatch(text, pattern) {
  var escaped = String(pattern).replace(/[.+^${}()|[\]\\]/g, "\\$&");
  var expression = escaped.replace(/\*/g, ".*").replace(/\?/g, ".");
  return new RegExp("^" + expression + "$", "is").test(String(text));
}

function convert_addr(text) {
  var match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(String(text));
  if (!match) return null;
  var bytes = match.slice(1).map(Number);
  if (bytes.some(function (b) { return b > 255; })) return null;
  return ((bytes[0] << 24) | (bytes[1] << 16) | (bytes[2] << 8) | bytes[3]) >>> 0;
}
function isInNet(host, net, mask) {
  var address = convert_addr(host);
  if (address === null) address = convert_addr(dnsResolve(host));
  var network = convert_addr(net), bits = convert_addr(mask);
  if (address === null || network === null || bits === null) return false;
  return ((address & bits) >>> 0) === ((network & bits) >>> 0);
}

var _DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
var _MONTHS = [
  "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"
];

// The arguments without a final "GMT", and the time that they are compared with.
function _moment(given) {
  var args = Array.prototype.slice.call(given), now = new Date();
  if (args[args.length - 1] === "GMT") {
    args.pop();
    now = new Date(now.getTime() + now.getTimezoneOffset() * 60000);
  }
  return { args: args, now: now };
}
function _compare(a, b) {
  for (var i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
  return 0;
}
// Inclusive; one whose end is before its start goes over midnight, the week's or the year's end.
function _within(start, at, end) {
  var after = _compare(start, at) <= 0, before = _compare(at, end) <= 0;
  return _compare(start, end) <= 0 ? after && before : after || before;
}

function weekdayRange() {
  var moment = _moment(arguments), args = moment.args;
  var first = _DAYS.indexOf(args[0]), last = _DAYS.indexOf(args[args.length - 1]);
  return first >= 0 && last >= 0 && _within([first], [moment.now.getDay()], [last]);
}

function timeRange() {
  var moment = _moment(arguments), args = moment.args.map(Number), now = moment.now;
  if (args.length === 0 || args.some(isNaN)) return false;
  var parts = [now.getHours(), now.getMinutes(), now.getSeconds()];
  if (args.length === 1) return parts[0] === args[0];
  var half = args.length / 2;
  return _within(args.slice(0, half), parts.slice(0, half), args.slice(half));
}

// Year, month and day, those that were given, in the order in which dates are compared.
function _date(parts, now) {
  var given = [], at = [], known = "";
  var kinds = [
    [function (p) { return p > 31; }, Number, now.getFullYear()],
    [function (p) { return typeof p === "string" && _MONTHS.indexOf(p) >= 0; },
     function (p) { return _MONTHS.indexOf(p); }, now.getMonth()],
    [function (p) { return p >= 1 && p <= 31; }, Number, now.getDate()]
  ];
  kinds.forEach(function (kind, index) {
    var found = parts.filter(kind[0]);
    if (found.length) { given.push(kind[1](found[0])); at.push(kind[2]); known += index; }
  });
  return { given: given, at: at, known: known };
}
function dateRange() {
  var moment = _moment(arguments), args = moment.args;
  if (args.length === 0) return false;
  var half = args.length === 1 ? 1 : args.length / 2;
  var first = _date(args.slice(0, half), moment.now);
  var last = _date(args.slice(args.length - half), moment.now);
  if (first.given.length !== half || first.known !== last.known) return false;
  return _within(first.given, first.at, last.given);
}
