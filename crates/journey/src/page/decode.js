// A packet's bytes in the terms of its protocols: [layer, [[field, value], …]], …
const decode = (() => {
  const ATTRIBUTES = {
    0x01: 'MAPPED-ADDRESS', 0x03: 'CHANGE-REQUEST', 0x04: 'SOURCE-ADDRESS', 0x05: 'CHANGED-ADDRESS', 0x06: 'USERNAME',
    0x08: 'MESSAGE-INTEGRITY', 0x09: 'ERROR-CODE', 0x0a: 'UNKNOWN-ATTRIBUTES', 0x0c: 'CHANNEL-NUMBER', 0x0d: 'LIFETIME',
    0x12: 'XOR-PEER-ADDRESS', 0x13: 'DATA', 0x14: 'REALM', 0x15: 'NONCE', 0x16: 'XOR-RELAYED-ADDRESS',
    0x17: 'REQUESTED-ADDRESS-FAMILY', 0x18: 'EVEN-PORT', 0x19: 'REQUESTED-TRANSPORT', 0x1c: 'MESSAGE-INTEGRITY-SHA256',
    0x20: 'XOR-MAPPED-ADDRESS', 0x24: 'PRIORITY', 0x25: 'USE-CANDIDATE', 0x26: 'PADDING', 0x27: 'RESPONSE-PORT',
    0x8004: 'ICMP', 0x8022: 'SOFTWARE', 0x8028: 'FINGERPRINT', 0x8029: 'ICE-CONTROLLED', 0x802a: 'ICE-CONTROLLING',
    0x802b: 'RESPONSE-ORIGIN', 0x802c: 'OTHER-ADDRESS',
    0xcf01: 'NAME', 0xcf02: 'PEER-NAME', 0xcf03: 'PUBLIC-KEY', 0xcf04: 'SEQUENCE', 0xcf05: 'SIGNATURE', 0xcf06: 'PEER-ADDRESS',
    0xcf07: 'SEAL', 0xcf08: 'ATTEMPT', 0xcf09: 'BOUNCED', 0xcf0a: 'MEASURE', 0xcf0b: 'FRESH', 0xcf0c: 'WORK',
    0xcf0d: 'ROTATION', 0xcf0e: 'SERVER-KEY', 0xcf0f: 'TRANSMISSION', 0xcf10: 'RELAY',
  };
  const XORED = [0x12, 0x16, 0x20];
  const PLAIN = [0x01, 0x04, 0x05, 0x802b, 0x802c];
  const TEXTS = [0x06, 0x14, 0x8022, 0xcf01, 0xcf02];
  const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR'];
  const COOKIE = [0x21, 0x12, 0xa4, 0x42];

  const two = (b, at) => b[at] << 8 | b[at + 1];
  const four = (b, at) => two(b, at) * 65536 + two(b, at + 2);
  const hex = b => Array.from(b, byte => byte.toString(16).padStart(2, '0')).join('');
  const v4 = b => Array.from(b).join('.');
  function v6(b) {
    const groups = Array.from({ length: 8 }, (_, n) => two(b, 2 * n).toString(16)).join(':');
    const zeros = (groups.match(/\b0(:0)+\b/g) ?? []).sort((a, z) => z.length - a.length)[0];
    return zeros ? groups.replace(zeros, '::').replace(/:{3,}/, '::') : groups;
  }
  const short = b => hex(b.subarray(0, 24)) + (b.length > 24 ? `… (${b.length} bytes)` : '');

  function address(b, mask) {
    if (b.length < 8) return short(b);
    const plain = b.map((byte, n) => n < 2 || !mask ? byte : byte ^ mask[n < 4 ? n - 2 : n - 4]);
    return b[1] === 1 ? `${v4(plain.subarray(4, 8))}:${two(plain, 2)}` : `[${v6(plain.subarray(4, 20))}]:${two(plain, 2)}`;
  }

  function attribute(kind, b, mask) {
    if (XORED.includes(kind)) return address(b, mask);
    if (PLAIN.includes(kind)) return address(b, null);
    if (TEXTS.includes(kind)) return new TextDecoder().decode(b);
    if (kind === 0x09 && b.length >= 4) return `${b[2] * 100 + b[3]} ${new TextDecoder().decode(b.subarray(4))}`;
    if (kind === 0x0d && b.length === 4) return `${four(b, 0)} s`;
    return b.length ? short(b) : 'empty';
  }

  function stun(b) {
    const kind = two(b, 0);
    const method = (kind & 0xf) | (kind >> 1 & 0x70) | (kind >> 2 & 0xf80);
    const name = ['request', 'indication', 'success', 'error'][(kind >> 4 & 1) | (kind >> 7 & 2)];
    const fields = [['method', `0x${method.toString(16).padStart(3, '0')}, ${name}`], ['length', `${two(b, 2)} bytes`],
      ['transaction', hex(b.subarray(8, 20))]];
    const mask = [...COOKIE, ...b.subarray(8, 20)];
    for (let at = 20; at + 4 <= b.length;) {
      const [kind, length] = [two(b, at), two(b, at + 2)];
      const value = b.subarray(at + 4, at + 4 + length);
      const cut = value.length < length ? ' (cut)' : '';
      fields.push([ATTRIBUTES[kind] ?? `attribute 0x${kind.toString(16).padStart(4, '0')}`, attribute(kind, value, mask) + cut]);
      at += 4 + (length + 3 & ~3);
    }
    return ['STUN', fields];
  }

  function payload(b, layers) {
    if (b.length >= 20 && b[0] < 0x40 && COOKIE.every((byte, n) => b[4 + n] === byte)) layers.push(stun(b));
    else if (b.length) layers.push(['Data', [['begins with', short(b)]]]);
  }

  function transport(protocol, b, layers) {
    if (protocol === 17 && b.length >= 8) {
      layers.push(['UDP', [['source port', two(b, 0)], ['destination port', two(b, 2)], ['length', `${two(b, 4)} bytes`],
        ['checksum', '0x' + hex(b.subarray(6, 8))]]]);
      payload(b.subarray(8), layers);
    } else if (protocol === 6 && b.length >= 20) {
      const flags = FLAGS.filter((_, n) => b[13] >> n & 1);
      layers.push(['TCP', [['source port', two(b, 0)], ['destination port', two(b, 2)], ['sequence number', four(b, 4)],
        ['acknowledgement', four(b, 8)], ['flags', flags.join(', ') || 'none'], ['window', two(b, 14)]]]);
      payload(b.subarray((b[12] >> 4) * 4), layers);
    } else if ((protocol === 1 || protocol === 58) && b.length >= 8) {
      layers.push([protocol === 1 ? 'ICMP' : 'ICMPv6', [['type', b[0]], ['code', b[1]]]]);
      const error = protocol === 1 ? [3, 4, 5, 11, 12].includes(b[0]) : b[0] < 128;
      if (error) layers.push(...ip(b.subarray(8)).map(([name, fields]) => [`${name}, quoted`, fields]));
    } else if (b.length) layers.push([`Protocol ${protocol}`, [['begins with', short(b)]]]);
  }

  function ip(b) {
    const layers = [];
    if (b.length >= 20 && b[0] >> 4 === 4) {
      const offset = (two(b, 6) & 0x1fff) * 8;
      layers.push(['IPv4', [['source', v4(b.subarray(12, 16))], ['destination', v4(b.subarray(16, 20))], ['TTL', b[8]],
        ['identification', '0x' + hex(b.subarray(4, 6))], ['length', `${two(b, 2)} bytes`],
        ...(offset || b[6] & 0x20 ? [['fragment', `from byte ${offset}`]] : [])]]);
      const rest = b.subarray((b[0] & 15) * 4);
      if (offset) payload(rest, layers);
      else transport(b[9], rest, layers);
    } else if (b.length >= 40 && b[0] >> 4 === 6) {
      layers.push(['IPv6', [['source', v6(b.subarray(8, 24))], ['destination', v6(b.subarray(24, 40))], ['hop limit', b[7]],
        ['length', `${two(b, 4)} bytes after the header`]]]);
      transport(b[6], b.subarray(40), layers);
    } else layers.push(['Bytes', [['begins with', short(b)]]]);
    return layers;
  }

  const bytes = text => Uint8Array.from(text.match(/../g) ?? [], pair => parseInt(pair, 16));
  return { layers: text => ip(bytes(text)), bytes };
})();

// Offset, bytes, characters.
function dump(text) {
  const bytes = decode.bytes(text);
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = Array.from(bytes.subarray(at, at + 16));
    const hex = part.map(byte => byte.toString(16).padStart(2, '0')).join(' ').padEnd(47);
    const characters = part.map(byte => byte > 31 && byte < 127 ? String.fromCharCode(byte) : '·').join('');
    lines.push(`${at.toString(16).padStart(4, '0')}  ${hex}  ${characters}`);
  }
  return lines.join('\n');
}
