#include "engine/base/escape.h"

#include <cstdint>

namespace uringsync {
namespace {

void AppendOctal(unsigned char byte, std::string* out) {
  out->push_back('\\');
  out->push_back(static_cast<char>('0' + (byte >> 6)));
  out->push_back(static_cast<char>('0' + ((byte >> 3) & 7)));
  out->push_back(static_cast<char>('0' + (byte & 7)));
}

// Length of the valid UTF-8 sequence at `s`, with its code point; 0 where there is none (overlong, surrogate, cut off).
size_t DecodeUtf8(std::string_view s, uint32_t* code_point) {
  const auto byte = [s](size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) {
    *code_point = lead;
    return 1;
  }
  size_t length = 0;
  uint32_t value = 0;
  uint32_t minimum = 0;
  if ((lead & 0xE0) == 0xC0) {
    length = 2, value = lead & 0x1F, minimum = 0x80;
  } else if ((lead & 0xF0) == 0xE0) {
    length = 3, value = lead & 0x0F, minimum = 0x800;
  } else if ((lead & 0xF8) == 0xF0) {
    length = 4, value = lead & 0x07, minimum = 0x10000;
  } else {
    return 0;
  }
  if (s.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    value = (value << 6) | (byte(i) & 0x3F);
  }
  if (value < minimum || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return 0;
  *code_point = value;
  return length;
}

bool IsHarmless(uint32_t cp) {
  if (cp < 0x20 || (cp >= 0x7F && cp < 0xA0)) return false;
  if (cp >= 0x2028 && cp <= 0x202E) return false;  // line and paragraph separators, direction overrides
  if (cp == 0x200E || cp == 0x200F || (cp >= 0x2066 && cp <= 0x2069) || cp == 0x061C) return false;
  return cp != 0xFEFF;
}

}  // namespace

size_t Utf8Length(std::string_view bytes) {
  uint32_t code_point = 0;
  return bytes.empty() ? 0 : DecodeUtf8(bytes, &code_point);
}

std::string EscapeName(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  size_t i = 0;
  while (i < bytes.size()) {
    uint32_t cp = 0;
    size_t length = DecodeUtf8(bytes.substr(i), &cp);
    if (length > 0 && IsHarmless(cp)) {
      if (cp == '\\') out.push_back('\\');
      out.append(bytes.substr(i, length));
    } else {
      if (length == 0) length = 1;
      for (size_t k = 0; k < length; ++k) AppendOctal(static_cast<unsigned char>(bytes[i + k]), &out);
    }
    i += length;
  }
  return out;
}

std::string UnescapeName(std::string_view text, bool* ok) {
  std::string out;
  *ok = true;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out.push_back(text[i]);
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == '\\') {
      out.push_back('\\');
      ++i;
      continue;
    }
    const auto octal = [&](size_t k) { return k < text.size() && text[k] >= '0' && text[k] <= '7'; };
    if (!octal(i + 1) || !octal(i + 2) || !octal(i + 3) || text[i + 1] > '3') {
      *ok = false;
      return out;
    }
    out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
    i += 3;
  }
  return out;
}

}  // namespace uringsync
