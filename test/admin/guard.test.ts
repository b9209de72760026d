import type { IncomingHttpHeaders } from 'node:http';
import { expect } from 'chai';
import { foreignRequest } from '../../policies/admin/guard.ts';
import type { AdminRequest } from '../../policies/admin/http.ts';

const names = ['gateway', 'admin.example.com', '*.internal'];

/** Returns the status with which a request is refused, or null if it is answered. */
function refusal(
  headers: IncomingHttpHeaders,
  { method = 'GET', originalUrl = '/llm-cache/stats', hosts = names } = {},
): number | null {
  const req = { method, originalUrl, headers } as AdminRequest;
  return foreignRequest(req, { names: hosts, setting: 'admin.hosts' })?.status ?? null;
}

describe('The guard of the admin routes', () => {
  const known = [
    '127.0.0.1:9876',
    '10.1.2.3',
    '0.0.0.0:9876',
    '[::1]:9876',
    '[fe80::1]',
    '[::ffff:127.0.0.1]:80',
    'localhost',
    'LOCALHOST:9876',
    'localhost.:9876',
    'app.localhost:9876',
    'gateway:9876',
    'Gateway',
    'gateway.',
    'admin.example.com',
    'one.internal:9876',
    'two.one.internal',
  ];
  for (const host of known) {
    it(`The admin guard answers to the host ${host}`, () => {
      expect(refusal({ host })).to.equal(null);
      expect(refusal({ ':authority': host })).to.equal(null);
    });
  }

  const foreign = [
    'rebound.attacker.test',
    'rebound.attacker.test:9876',
    'other',
    'localhost.attacker.test',
    '127.0.0.1.attacker.test',
    'xlocalhost',
    'gateway.attacker.test',
    'example.com',
    'x.admin.example.com',
    'internal',
    '.internal.attacker.test',
    '1.2.3',
    '127.0.0.1@attacker.test',
    'attacker.test#127.0.0.1',
    'attacker.test/127.0.0.1',
    '[attacker.test]',
    '[127.0.0.1]',
    '[::1',
    '::1',
    'localhost:9876:9876',
    'localhost:x',
    '',
    ' ',
  ];
  for (const host of foreign) {
    it(`The admin guard does not answer to the host ${JSON.stringify(host)}`, () => {
      expect(refusal({ host })).to.equal(421);
      expect(refusal({ ':authority': host })).to.equal(421);
      expect(refusal({ host: 'localhost' }, { originalUrl: `http://${host}/llm-cache` })).to.equal(
        421,
      );
    });
  }

  it('The admin guard answers to no name but localhost where none is configured', () => {
    expect(refusal({ host: 'gateway' }, { hosts: [] })).to.equal(421);
    expect(refusal({ host: 'localhost' }, { hosts: [] })).to.equal(null);
  });

  it('The admin guard takes no other header for the host', () => {
    const headers = { host: 'attacker.test', 'x-forwarded-host': 'localhost', forwarded: 'host=a' };
    expect(refusal(headers)).to.equal(421);
  });

  it('The admin guard names the host that it refuses and the setting that would allow it', () => {
    const req = { method: 'GET', originalUrl: '/', headers: { host: 'prometheus-sees:9876' } };
    const { message = '' } =
      foreignRequest(req as AdminRequest, { names: [], setting: 'admin.hosts (here)' }) ?? {};
    expect(message).to.contain('"prometheus-sees:9876"').and.to.contain('admin.hosts (here)');
  });

  const host = 'localhost:9876';

  for (const method of ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS', 'PUT']) {
    it(`The admin guard answers a ${method} without a page, from its own page, and from the address bar`, () => {
      expect(refusal({ host }, { method })).to.equal(null);
      const own = { host, origin: 'http://localhost:9876', 'sec-fetch-site': 'same-origin' };
      expect(refusal(own, { method })).to.equal(null);
      expect(refusal({ host, 'sec-fetch-site': 'none' }, { method })).to.equal(null);
    });

    it(`The admin guard refuses a ${method} from another site's page`, () => {
      for (const site of ['cross-site', 'same-site', 'anything']) {
        expect(refusal({ host, 'sec-fetch-site': site }, { method })).to.equal(403);
      }
      const others = [
        'https://attacker.test',
        'http://localhost:3000',
        'http://localhost',
        'http://attacker.test:9876',
        'null',
        'file://',
        'chrome-extension://abc',
        'http://localhost:9876, http://attacker.test',
        '',
      ];
      for (const origin of others) {
        expect(refusal({ host, origin }, { method }), origin).to.equal(403);
        const claimed = { host, origin, 'sec-fetch-site': 'same-origin' };
        expect(refusal(claimed, { method }), origin).to.equal(403);
      }
    });
  }

  it('The admin guard answers its own page behind a proxy that replaces the host with a known one', () => {
    const headers = { host: '127.0.0.1:9876', origin: 'https://admin.example.com' };
    expect(refusal({ ...headers, 'sec-fetch-site': 'same-origin' })).to.equal(null);
    expect(refusal({ ...headers, 'sec-fetch-site': 'same-site' })).to.equal(403);
    expect(refusal(headers)).to.equal(403);
    expect(refusal({ ...headers, 'sec-fetch-site': 'same-origin' }, { hosts: [] })).to.equal(403);
  });

  it('The admin guard answers its own page behind a proxy that ends TLS', () => {
    const headers = { host: 'admin.example.com', origin: 'https://admin.example.com' };
    expect(refusal(headers, { method: 'DELETE' })).to.equal(null);
  });

  it('The admin guard lets a followed link show the dashboard, but no frame, script or form', () => {
    const link = {
      host,
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    };
    expect(refusal(link)).to.equal(null);
    for (const method of ['POST', 'DELETE']) expect(refusal(link, { method })).to.equal(403);
    for (const dest of ['iframe', 'script', 'image', 'empty', 'object']) {
      expect(refusal({ ...link, 'sec-fetch-dest': dest })).to.equal(403);
    }
    for (const mode of ['no-cors', 'cors', 'websocket']) {
      expect(refusal({ ...link, 'sec-fetch-mode': mode })).to.equal(403);
    }
  });
});
