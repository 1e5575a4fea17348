/* Sets a control of the kernel's vivid driver by name, in the guest: v4l2-ctl is no part of the appliance. */
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

static int set(int device, const char *name, int value)
{
    struct v4l2_query_ext_ctrl control = { .id = V4L2_CTRL_FLAG_NEXT_CTRL };
    while (ioctl(device, VIDIOC_QUERY_EXT_CTRL, &control) == 0) {
        if (strcmp(control.name, name) == 0) {
            struct v4l2_ext_control one = { .id = control.id, .value = value };
            struct v4l2_ext_controls all = { .which = V4L2_CTRL_WHICH_CUR_VAL, .count = 1, .controls = &one };
            if (ioctl(device, VIDIOC_S_EXT_CTRLS, &all) == 0)
                return 0;
            perror(name);
            return 1;
        }
        control.id |= V4L2_CTRL_FLAG_NEXT_CTRL;
    }
    fprintf(stderr, "vivid: no control \"%s\"\n", name);
    return 1;
}

int main(int count, char **words)
{
    int device = open("/dev/video0", O_RDWR);
    if (device < 0 || count != 2) {
        fprintf(stderr, "vivid: /dev/video0 cannot be opened, or no word was given\n");
        return 1;
    }
    const char *word = words[1];
    /* Frozen: nothing moves and the driver's clock is not drawn. */
    if (strcmp(word, "freeze") == 0)
        return set(device, "Horizontal Movement", 3) | set(device, "Vertical Movement", 3) | set(device, "OSD Text Mode", 2);
    if (strcmp(word, "move") == 0)
        return set(device, "Horizontal Movement", 5) | set(device, "OSD Text Mode", 0);
    if (strcmp(word, "no_signal") == 0)
        return set(device, "DV Timings Signal Mode", 1);
    if (strcmp(word, "signal") == 0)
        return set(device, "DV Timings Signal Mode", 0);
    /* The source changes to 640x480. */
    if (strcmp(word, "small") == 0)
        return set(device, "DV Timings", 0) | set(device, "DV Timings Signal Mode", 4);
    fprintf(stderr, "vivid: freeze, move, no_signal, signal or small, not %s\n", word);
    return 1;
}
