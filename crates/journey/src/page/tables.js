// What the NATs held at a moment.
const tables = (() => {
  const MOST = 100;
  const nats = [...new Set(model.changes.map(([, node]) => node))].sort((a, b) => a - b);

  // Of each NAT, its entries at this moment, and those that the last change brought.
  function at(moment) {
    const held = new Map(nats.map(node => [node, { entries: new Set(), fresh: new Set(), since: null }]));
    for (const [t, node, added, gone] of model.changes) {
      if (t > moment) break;
      const it = held.get(node);
      for (const entry of gone) it.entries.delete(entry);
      for (const entry of added) it.entries.add(entry);
      it.fresh = new Set(added);
      it.since = t;
    }
    return held;
  }

  function mappings(it) {
    const found = new Map();
    for (const index of it.entries) {
      const { protocol, inside, outside, towards, permit } = model.entries[index];
      const key = [protocol, inside, outside, towards].join();
      if (!found.has(key)) found.set(key, { protocol, inside, outside, towards, permits: [], fresh: false });
      const mapping = found.get(key);
      if (permit !== null) mapping.permits.push(permit);
      if (it.fresh.has(index)) mapping.fresh = true;
    }
    return [...found.values()];
  }

  const from = remote => remote.endsWith(':0') ? `${remote.slice(0, -2)}, every port` : remote;

  function admits({ permits }) {
    if (permits.includes('*')) return 'anyone';
    if (!permits.length) return 'nobody yet';
    const more = permits.length - 6;
    const first = permits.slice(0, 6).flatMap((remote, n) => [n ? ', ' : '', ...address(from(remote))]);
    return more > 0 ? [...first, ` and ${more} more`] : first;
  }

  function show(moment, journey) {
    const ends = new Set((journey?.seen ?? []).flatMap(at => [at.src, at.dst]));
    const parts = [];
    for (const [node, it] of at(moment)) {
      const all = mappings(it);
      const used = mapping => ends.has(mapping.outside);
      all.sort((a, b) => used(b) - used(a) || b.fresh - a.fresh);
      const rows = all.slice(0, MOST).map(mapping => el('tr', { class: used(mapping) ? 'used' : null },
        el('td', {}, address(mapping.inside), ' ', el('small', {}, mapping.protocol)),
        el('td', {}, address(mapping.outside), mapping.fresh && el('span', { class: 'new' }, 'new')),
        el('td', {}, admits(mapping), mapping.towards && el('small', {}, ' only towards ', address(from(mapping.towards))))));
      parts.push(el('h3', {}, model.nodes[node].name, el('small', {}, ` ${model.nodes[node].description}`)));
      if (!all.length) parts.push(el('p', { class: 'quiet' }, 'no mapping'));
      else parts.push(el('table', {}, el('thead', {}, el('tr', {},
        ...['inside', 'outside', 'lets in'].map(head => el('th', { scope: 'col' }, head)))), el('tbody', {}, rows)));
      if (all.length > MOST) parts.push(el('p', { class: 'quiet' }, `and ${all.length - MOST} more mappings`));
    }
    if (!nats.length) parts.push(el('p', { class: 'quiet' }, 'No table of a NAT is in this trace.'));
    by('tables').replaceChildren(...parts);
    by('at').textContent = `${ms(moment)} ms`;
  }

  return { show };
})();
