// One packet: its end, its way, its bytes.
const packet = (() => {
  let leave = () => {};

  // A packet's number, as a way to it.
  const link = (id, open) => el('button', { type: 'button', class: 'link', onclick: () => open(id) }, `#${id} ${model.journeys[id].what}`);

  function way(it) {
    const rows = it.seen.map((at, n) => {
      const before = it.seen[n - 1];
      const changed = (now, then) => before && now !== then ? el('mark', {}, address(now)) : address(now);
      return el('tr', {},
        el('td', { class: 'time' }, ms(at.t)),
        el('td', {}, `${model.nodes[at.node]?.name ?? '?'} `, el('small', {}, `${at.out ? 'out of' : 'into'} ${at.port}`)),
        el('td', {}, changed(at.src, before?.src), ' → ', changed(at.dst, before?.dst)),
        el('td', {}, String(at.ttl)));
    });
    const heads = ['ms', 'where', 'source → destination', 'TTL'].map(head => el('th', { scope: 'col' }, head));
    return el('table', {}, el('thead', {}, el('tr', {}, heads)), el('tbody', {}, rows));
  }

  const layer = ([name, fields]) => el('details', { open: '' }, el('summary', {}, name), el('dl', {},
    fields.flatMap(([field, value]) => [el('dt', {}, field), el('dd', {}, String(value))])));

  function show(it, open, close) {
    leave = close;
    const [mark, meaning] = MARKS[it.how] ?? MARKS.unknown;
    const others = [
      it.first !== null && el('p', {}, 'A retransmission of ', link(it.first, open)),
      it.about !== null && el('p', {}, 'An error about ', link(it.about, open)),
      it.errors && el('p', {}, 'Errors about it: ', it.errors.map(id => link(id, open))),
    ];
    const shown = it.bytes.length / 2;
    by('packet').replaceChildren(
      el('div', { class: 'title' }, el('h2', {}, `#${it.id} ${it.what}`),
        el('button', { type: 'button', 'aria-label': 'Close the packet', title: 'Close ( Esc )', onclick: () => leave() }, '×')),
      el('p', { class: `end ${it.how}`, title: meaning }, el('b', {}, `${mark} ${it.reason ?? ''}`), ` ${it.text}`),
      ...others.filter(Boolean),
      el('h3', {}, 'Its way'), way(it),
      el('h3', {}, 'What it carries'),
      el('p', { class: 'quiet' }, `${it.protocol.toUpperCase()}, ${it.length} bytes of payload, as first seen`),
      ...decode.layers(it.bytes).map(layer),
      el('details', {}, el('summary', {}, `Bytes${shown < it.size ? `: the first ${shown} of ${it.size}` : ''}`),
        el('pre', { tabindex: '0' }, dump(it.bytes)), el('p', { class: 'quiet hash' }, `SHA-256 of the payload: ${it.sha256}`)));
    by('packet').hidden = false;
    by('packet').scrollTop = 0;
  }

  return { show, hide: () => { by('packet').hidden = true; } };
})();
