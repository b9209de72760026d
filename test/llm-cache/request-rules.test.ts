import { expect } from 'chai';
import { asideByHeaders } from '../../policies/llm-cache/request-rules.ts';
import { makeRequest } from '../support/llm-request.ts';

const aside = (headers: Record<string, string>) => asideByHeaders(makeRequest({ headers }));
const typed = (type: string) => aside({ 'content-type': type });

describe('The headers of a request', () => {
  it('The request rules accept a body declared as JSON in UTF-8, in any spelling, or not at all', () => {
    expect(aside({})).to.equal(null);
    for (const type of [
      '',
      'application/json',
      'application/json; charset=utf-8',
      'application/json;charset=UTF-8',
      'Application/JSON ; Charset="utf-8"',
      'application/json; charset=utf8',
      'application/json; profile="a"',
      'application/vnd.api+json',
      'application/problem+json; charset=utf-8',
      'text/json',
    ]) {
      expect(typed(type), type).to.equal(null);
    }
  });

  it('The request rules make the cache stand aside for another Content-Type', () => {
    for (const type of [
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=a',
      'text/plain',
      'text/plain;charset=UTF-8',
      'application/octet-stream',
      'application/jsonl',
      'application/json-seq',
      'application/json, text/plain',
      'application/xml',
      'json',
      'x-application/json',
      '; charset=utf-8',
    ]) {
      expect(typed(type), type).to.equal('not-json');
    }
  });

  it('The request rules make the cache stand aside for another charset', () => {
    for (const type of [
      'application/json; charset=utf-7',
      'application/json;charset=UTF-16',
      'application/json; charset="iso-8859-1"',
      'application/json; charset=utf-8; charset=utf-7',
      'application/json; a=b; charset = us-ascii',
      'application/vnd.api+json; charset=latin1',
      'application/json; charset=',
    ]) {
      expect(typed(type), type).to.equal('not-utf8');
    }
  });

  it('The request rules make the cache stand aside for a POST that is turned into another method', () => {
    for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override']) {
      expect(aside({ [name]: 'DELETE' })).to.equal('stateful');
      expect(aside({ [name]: 'post' })).to.equal(null);
    }
  });
});
