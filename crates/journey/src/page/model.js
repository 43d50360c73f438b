// The trace, with its texts put back, and what every part of the page needs.
const by = id => document.getElementById(id);

// An element with attributes (those that begin with "on" are listeners) and children, whose texts stay texts.
function el(tag, attributes = {}, ...children) {
  const svg = 'svg g path line circle rect text title'.split(' ').includes(tag);
  const element = svg ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

const MARKS = {
  delivered: ['▶', 'delivered to a socket'],
  dropped: ['✗', 'dropped by a rule'],
  refused: ['↩', 'refused with an ICMP error or a reset'],
  'ttl-exceeded': ['⊣', 'its TTL ran out'],
  lost: ['≈', 'lost on a link'],
  'no-listener': ['○', 'no socket has the port'],
  unknown: ['?', 'not seen again'],
};

const model = (() => {
  const data = JSON.parse(by('data').textContent);
  const text = index => index === null ? null : data.texts[index];
  const nodes = data.nodes.map(([name, description, interfaces]) => ({ name, description, interfaces }));
  const core = nodes.findIndex(node => node.name === 'core');
  const journeys = data.journeys.map((row, id) => {
    const [protocol, what, length, sha256, size, bytes, first, about, how, node, reason, end, sightings] = row;
    const seen = sightings.map(([t, node, port, out, src, dst, ttl]) =>
      ({ t, node, port: text(port), out: out === 1, src: text(src), dst: text(dst), ttl }));
    const middle = seen.find(at => at.node === core) ?? seen[seen.length - 1];
    return {
      id, protocol: text(protocol), what: text(what), length, sha256, size, bytes, first, about, node, seen,
      how: text(how), reason: text(reason), text: text(end),
      // both directions, as they are between the NATs
      flow: [middle.src, middle.dst].sort(), hay: null,
    };
  });
  for (const it of journeys) if (it.about !== null) (journeys[it.about].errors ??= []).push(it.id);
  const entries = data.entries.map(([protocol, inside, outside, towards, permit]) =>
    ({ protocol: text(protocol), inside: text(inside), outside: text(outside), towards: text(towards), permit: text(permit) }));
  const times = [...journeys.flatMap(it => it.seen.map(at => at.t)), ...data.changes.map(([t]) => t)];
  const last = times.reduce((most, t) => Math.max(most, t), 0);
  return { nodes, journeys, entries, changes: data.changes, gaps: data.gaps, cause: data.cause, last };
})();

// An address with its port, which may be broken before the port.
function address(text) {
  const colon = text.lastIndexOf(':');
  return colon < 0 ? [text] : [text.slice(0, colon), el('wbr'), text.slice(colon)];
}

const ms = t => t.toLocaleString('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 }).replaceAll(',', '\u202f');

// What a filter looks into.
function hay(it) {
  it.hay ??= [it.id, it.protocol, it.what, it.how, it.reason, it.text, it.sha256,
    ...it.seen.flatMap(at => [at.src, at.dst, model.nodes[at.node]?.name])].join(' ').toLowerCase();
  return it.hay;
}
