'use strict';

const { classes } = require('./errors.js');
const { Container } = require('./container.js');
const { Image } = require('./image.js');
const { Process } = require('./process.js');
const { Runtime, run } = require('./runtime.js');
const { version } = require('../package.json');

module.exports = { Runtime, Image, Container, Process, run, version, ...classes };
