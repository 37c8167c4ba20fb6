/* SPDX-License-Identifier: MIT */
/* colormap.c - colours
 *
 * plasma, viridis and magma: Stefan van der Walt and Nathaniel Smith 2015 (CC0,
 * bids.github.io/colormap). cividis: Nunez, Anderton and Renslow 2018, PLoS ONE 13(7) e0199239. Of
 * the published tables of 256 colours 33 control points are kept, with sRGB linear between them: no
 * channel is off by more than 3 of 255 (cividis: 6). diverging: RdBu with 11 colours of Cynthia
 * Brewer's colorbrewer2.org, from blue to red.
 *
 * Series: Masataka Okabe and Kei Ito 2008, which people with any colour vision tell apart. */
#include "plot/colormap.h"
#include <math.h>

enum { N_POINTS = 33, N_DIVERGING = 11 };

static const uint32_t points[][N_POINTS] = {
    [WTE_COLORMAP_PLASMA] = {0x0d0887, 0x220690, 0x310596, 0x3f049c, 0x4c02a1, 0x5901a5, 0x6600a7,
                             0x7201a8, 0x7e03a8, 0x8909a6, 0x9511a2, 0x9f1a9c, 0xa92396, 0xb22c8e,
                             0xbb3587, 0xc33e80, 0xcb4778, 0xd25071, 0xd9596a, 0xe06263, 0xe66c5c,
                             0xeb7555, 0xf07f4f, 0xf48a48, 0xf89441, 0xfb9f3a, 0xfdab33, 0xfeb72d,
                             0xfdc328, 0xfcd025, 0xf9dd25, 0xf5eb27, 0xf0f921},
    [WTE_COLORMAP_VIRIDIS] = {0x440154, 0x470d60, 0x48186a, 0x482374, 0x472d7b, 0x453681, 0x424086,
                              0x3f4989, 0x3b528b, 0x375a8d, 0x33638d, 0x2f6a8e, 0x2c728e, 0x297a8e,
                              0x26818e, 0x23898e, 0x21908c, 0x1f988b, 0x1f9f88, 0x21a685, 0x28ae80,
                              0x31b57b, 0x3ebc74, 0x4cc26c, 0x5dc963, 0x6ece58, 0x82d34c, 0x96d83f,
                              0xabdc32, 0xc0df24, 0xd5e21a, 0xeae51a, 0xfde725},
    [WTE_COLORMAP_MAGMA] = {0x000004, 0x030311, 0x0a0822, 0x130d33, 0x1d1146, 0x28115a, 0x36106a,
                            0x430f76, 0x50127c, 0x5d177f, 0x691c81, 0x762181, 0x822681, 0x8f2a81,
                            0x9c2e7f, 0xa9327d, 0xb63779, 0xc33b75, 0xcf4170, 0xdb486a, 0xe65163,
                            0xee5c5e, 0xf5695c, 0xf9785d, 0xfb8761, 0xfd9668, 0xfea571, 0xfeb47b,
                            0xfec387, 0xfed194, 0xfde0a2, 0xfceeb0, 0xfcfdbf},
    [WTE_COLORMAP_CIVIDIS] = {0x00224e, 0x00285b, 0x002e6a, 0x043371, 0x1a386f, 0x273e6e, 0x32436d,
                              0x3b496c, 0x434e6c, 0x4b546c, 0x52596d, 0x5a5f6e, 0x61656f, 0x686a71,
                              0x6f7073, 0x757676, 0x7c7b78, 0x848179, 0x8b8778, 0x938d78, 0x9b9376,
                              0xa39a75, 0xaba072, 0xb3a670, 0xbbad6c, 0xc3b469, 0xccba64, 0xd4c15f,
                              0xddc958, 0xe6d051, 0xefd748, 0xf8df3c, 0xfee838},
};
static const uint32_t diverging[N_DIVERGING] = {0x053061, 0x2166ac, 0x4393c3, 0x92c5de,
                                                0xd1e5f0, 0xf7f7f7, 0xfddbc7, 0xf4a582,
                                                0xd6604d, 0xb2182b, 0x67001f};

static uint32_t between(uint32_t a, uint32_t b, double t)
{
    uint32_t rgb = 0;

    for (unsigned shift = 0; shift < 24; shift += 8) {
        const double from = a >> shift & 255, to = b >> shift & 255;

        rgb |= (uint32_t)lround(from + (to - from) * t) << shift;
    }
    return rgb;
}

void wte__colormap_fill(wte_colormap map, bool dark, uint32_t *out)
{
    const uint32_t *from = map == WTE_COLORMAP_DIVERGING ? diverging : points[map];
    const int n = map == WTE_COLORMAP_DIVERGING ? N_DIVERGING : N_POINTS;

    for (int i = 0; i < WTE__COLORS; i++) {
        const double at = (double)i * (n - 1) / (WTE__COLORS - 1);
        const int k = at >= n - 1 ? n - 2 : (int)at;

        out[i] = between(from[k], from[k + 1], at - k);
    }
    out[WTE__COLOR_NAN] = wte__theme_of(dark)->nan;
}

unsigned char wte__colormap_index(double value, double low, double high)
{
    double at;

    if (isnan(value))
        return WTE__COLOR_NAN;
    if (!(high > low))
        return value > high ? WTE__COLORS - 1 : value < low ? 0 : WTE__COLORS / 2;
    at = (value / 2 - low / 2) / (high / 2 - low / 2) * WTE__COLORS; /* halves: no overflow */
    return at < 0 ? 0 : at >= WTE__COLORS ? WTE__COLORS - 1 : (unsigned char)at;
}

double wte__luminance(uint32_t rgb)
{
    static const double weights[3] = {0.0722, 0.7152, 0.2126}; /* blue, green, red */
    double sum = 0;

    for (unsigned i = 0; i < 3; i++) {
        const double v = (rgb >> 8 * i & 255) / 255.0;

        sum += weights[i] * (v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4));
    }
    return sum;
}

const wte__theme *wte__theme_of(bool dark)
{
    static const wte__theme light_theme = {
        0xffffff,
        0x222222,
        0x777777,
        0xe8e8e8,
        0xdddddd,
        0x999999,
        {0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0xe69f00, 0x56b4e9, 0x555555}};
    static const wte__theme dark_theme = {
        0x16181d,
        0xe4e4e4,
        0x9a9a9a,
        0x33373f,
        0x3c4048,
        0x70757f,
        {0x56b4e9, 0xe69f00, 0x2fc598, 0xe095c0, 0xf0e442, 0xff7f3f, 0xbbbbbb}};

    return dark ? &dark_theme : &light_theme;
}
