import { expect } from 'chai';
import type { Flight } from '../../policies/llm-cache/flight.ts';
import { Flights } from '../../policies/llm-cache/flights.ts';

const flight = (isOpen = true) => ({ isOpen }) as Flight;

describe('Flights', () => {
  let now: number;
  let flights: Flights;
  beforeEach(() => {
    now = 1000;
    flights = new Flights(() => now);
  });

  it('Flights are found by their key as long as they are open', () => {
    const one = flight();
    flights.open('a', one);
    flights.open('b', flight(false));
    expect(flights.find('a')).to.equal(one);
    expect(flights.find('b')).to.equal(undefined);
    expect(flights.find('c')).to.equal(undefined);
  });

  it('Flights close only themselves: a later one of the key stays', () => {
    const [old, fresh] = [flight(), flight()];
    flights.open('a', old);
    flights.open('a', fresh);
    flights.close('a', old);
    expect(flights.find('a')).to.equal(fresh);
    flights.close('a', fresh);
    expect(flights.find('a')).to.equal(undefined);
  });

  it('Flights are not joined for five seconds under a key marked hit-for-miss', () => {
    flights.markHitForMiss('a');
    expect([flights.isHitForMiss('a'), flights.isHitForMiss('b')]).to.deep.equal([true, false]);
    now += 4999;
    expect(flights.isHitForMiss('a')).to.equal(true);
    now += 1;
    expect(flights.isHitForMiss('a')).to.equal(false);
  });

  it('Flights are joined again under a key whose mark was cleared', () => {
    flights.markHitForMiss('a');
    flights.clearHitForMiss('a');
    expect(flights.isHitForMiss('a')).to.equal(false);
  });

  it('Flights remember the newest ten thousand hit-for-miss marks', () => {
    for (let count = 0; count <= 10_000; count++) flights.markHitForMiss(`k${count}`);
    expect(flights.isHitForMiss('k0')).to.equal(false);
    expect(flights.isHitForMiss('k1')).to.equal(true);
    expect(flights.isHitForMiss('k10000')).to.equal(true);
  });
});
