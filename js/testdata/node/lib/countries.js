const codes = { de: 49, gb: 44, us: 1 };

exports.Countries = class Countries {
  static codeOf(country) {
    const code = codes[country.toLowerCase()];
    if (!code) throw new RangeError(`unknown country ${country}`);
    return code;
  }
};
